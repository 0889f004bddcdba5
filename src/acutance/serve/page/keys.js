// Keys of the page. Letters count only where nothing is being typed or chosen.
import { byId } from '/page/dom.js';

/**
 * letters: { key: action }, while the picture, or nothing, has the focus.
 * history: undone by Ctrl+Z, redone by Ctrl+Shift+Z or Ctrl+Y.
 */
export function keys(letters, history) {
  document.addEventListener('keydown', (event) => {
    if (byId('ask').open || byId('panel').hidden) return;
    const key = event.key.toLowerCase();
    let action = null;
    if (event.ctrlKey || event.metaKey) {
      if (key === 'z') action = () => (event.shiftKey ? history.redo() : history.undo());
      if (key === 'y') action = () => history.redo();
    } else if (!event.altKey && (event.target === document.body || byId('view').contains(event.target))) {
      action = letters[key];
    }
    if (!action) return;
    event.preventDefault();
    action();
  });
}
