// The ways in which files come onto the page: chosen, dropped, pasted.
import { byId } from '/page/dom.js';

/** take(files): called with an array of files, never an empty one. */
export function intake(take) {
  const given = (files) => files.length && take([...files]);
  byId('file').addEventListener('change', (event) => {
    given(event.target.files);
    event.target.value = '';
  });
  byId('other').addEventListener('click', () => byId('file').click());
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    document.body.classList.add('over');
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) document.body.classList.remove('over');
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    document.body.classList.remove('over');
    given(event.dataTransfer.files);
  });
  document.addEventListener('paste', (event) => given(event.clipboardData.files));
}
