// What seems to be wrong with a picture, asked as soon as it is shown, and the settings that answer to it.
import { byId } from '/page/dom.js';
import { pause, run } from '/page/jobs.js';
import { look } from '/page/order.js';
import { text } from '/page/texts.js';

const REST = 250; // milliseconds for which a picture is shown before it is looked at

export class Seems {
  /** picture(): the current one. apply(values): sets fields, see `settings.write`. */
  constructor(picture, apply) {
    this.picture = picture;
    this.abort = null;
    byId('seems-apply').addEventListener('click', () => apply(answer(picture().seems)));
  }

  stop() {
    if (!this.abort) return;
    this.abort.abort();
    this.abort = null;
    if (!this.picture().seems) byId('seems-is').textContent = text.notLooked;
  }

  /** Show what is known of a picture; ask where nothing is, and it is not yet restored. */
  async show(picture) {
    this.stop();
    byId('seems').hidden = !picture.seems && picture.state !== 'open';
    this.say(picture.seems);
    if (picture.seems || picture.state !== 'open') return;
    const { signal } = (this.abort = new AbortController());
    try {
      await pause(REST, signal);
      const { report } = await run(look(picture), signal, []);
      picture.seems = report;
      this.abort = null;
      if (picture === this.picture()) this.say(report);
    } catch {
      // It is an offer: what hinders it is said when the picture is restored.
      if (signal.aborted) return;
      this.abort = null;
      byId('seems-is').textContent = text.lookFailed;
    }
  }

  /** The place is taken from the start, so that nothing moves when the answer comes. */
  say(report) {
    byId('seems-is').textContent = report ? text.seems(report) : text.looking;
    byId('seems-apply').hidden = !report || !report.faults.length;
  }
}

/** The settings for what was found; the blur before the noise. */
function answer({ faults: [{ what, size, angle }] }) {
  const within = (id, value) => String(Math.min(byId(id).max, Math.max(byId(id).min, value)));
  const restore = (values) => ({ task: 'restore', ...values });
  if (what === 'noise') return { task: 'denoise' };
  if (what === 'focus') return restore({ blur: 'disc', radius: within('radius', size) });
  if (what === 'soft') return restore({ blur: 'gaussian', deviation: within('deviation', size) });
  if (what === 'shaken') return restore({ blur: 'find' });
  const turn = angle > 90 ? angle - 180 : angle;
  return restore({ blur: 'motion', length: within('length', size), angle: within('angle', turn) });
}
