// The piece that is seen, restored while settings move: at once by a quick method, then by that for the whole.
import { byId } from '/page/dom.js';
import { pause, run } from '/page/jobs.js';
import { trials } from '/page/order.js';
import { LINKS, steps } from '/page/sharpness.js';
import { text } from '/page/texts.js';

const MOST = 512; // side of a piece, pixels
const LEAST = 96;
const GOAL = 800; // milliseconds that a quick preview may take
const REST = 120; // milliseconds without a change before a preview begins
const SECOND = 500; // the same before the slower method begins

export class Preview {
  /**
   * viewer: shows it. picture(): the current one. settings(): the current ones. offer(steps): those of a piece,
   * [{ step, shown }]. begins(): a piece is to be restored, so that other questions had better wait.
   */
  constructor(viewer, picture, settings, offer, begins) {
    Object.assign(this, { viewer, picture, settings, offer, begins });
    this.place = null; // of the piece that is shown
    this.abort = null;
    this.missed = false; // whether a preview was wanted before the picture could be seen
    this.side = 192; // of quick previews; follows the machine
    this.url = null;
  }

  /** Whether a piece lies over the picture. */
  get shown() {
    return this.url !== null;
  }

  /** Take the piece away and stop. */
  clear() {
    this.stop();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
    this.viewer.showPiece(null);
    this.note('');
  }

  stop() {
    if (this.abort) this.abort.abort();
    this.abort = null;
  }

  /** The settings or the view have changed: begin anew. */
  async begin() {
    this.stop();
    const abort = (this.abort = new AbortController());
    try {
      await pause(REST, abort.signal);
      const picture = this.picture();
      if (!picture.busy) await this.restore(picture, abort.signal);
    } catch (error) {
      if (!abort.signal.aborted) this.note(text.previewFailed(error.message));
    }
  }

  async restore(picture, signal) {
    const quick = this.viewer.visible(this.side);
    const large = this.viewer.visible(Math.min(MOST, 2 * this.side));
    this.missed = !quick;
    if (!quick) return;
    const forms = await trials(picture, this.settings(), quick);
    if (!forms.length) return this.note(text.previewLater);
    this.note(text.previewing);
    this.begins();
    const took = await this.show(forms[0], quick, signal);
    this.side = Math.round(Math.min(MOST, Math.max(LEAST, this.side * Math.sqrt(GOAL / took))));
    if (forms.length < 2) return;
    await pause(SECOND, signal);
    const slower = await trials(picture, this.settings(), large);
    await this.show(slower[1], large, signal);
  }

  /** Restore a piece and show it; the milliseconds that this took. */
  async show(form, piece, signal) {
    const begun = performance.now();
    const { report, files: [saved, shown, ...rest] } = await run(form, signal, ['picture', 'shown', ...LINKS]);
    signal.throwIfAborted();
    this.place = piece;
    await this.lay(shown || saved);
    const took = performance.now() - begun;
    this.note(text.previewed(report.method, took / 1000));
    this.offer(steps(report, rest));
    return took;
  }

  /** Show a file where the last piece was. */
  async lay(file) {
    const [url, old] = [URL.createObjectURL(file), this.url];
    this.url = url;
    await this.viewer.showPiece(this.place, url);
    if (old) URL.revokeObjectURL(old);
  }

  note(message) {
    byId('preview-note').textContent = message;
  }
}
