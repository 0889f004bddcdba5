// Restores pictures one after the other; as many at once as the service has workers.
import { run } from '/page/jobs.js';
import { LINKS, steps } from '/page/sharpness.js';
import { text } from '/page/texts.js';

const FILES = ['picture', 'shown', 'shown_before', 'kernel', 'kernel_picture', 'report', 'unsupported', 'sidecar'];

export class Runner {
  /** changed(picture): called whenever a picture is another one than before. refused(): a token is wanted. */
  constructor(changed, refused) {
    this.changed = changed;
    this.refused = refused;
    this.waiting = []; // [picture, form, asked]
    this.running = 0;
    this.workers = 1;
  }

  /** Put a picture into the queue with the form that is sent for it; asked: see `repeat.js`. */
  add(picture, form, asked) {
    this.cancel(picture);
    Object.assign(picture, { state: 'waiting', error: '', event: { state: 'queued' }, begun: Date.now() });
    picture.abort = new AbortController();
    this.waiting.push([picture, form, asked]);
    this.changed(picture);
    this.next();
  }

  /** Stop a picture; the result that it has stays. */
  cancel(picture) {
    this.waiting = this.waiting.filter(([other]) => other !== picture);
    if (picture.abort) picture.abort.abort();
    if (!picture.busy) return;
    this.settle(picture);
    this.changed(picture);
  }

  settle(picture) {
    picture.state = picture.saved ? 'done' : 'open';
    picture.abort = null;
  }

  next() {
    while (this.running < this.workers && this.waiting.length) {
      this.running += 1;
      this.restore(...this.waiting.shift()).finally(() => {
        this.running -= 1;
        this.next();
      });
    }
  }

  async restore(picture, form, asked) {
    const { signal } = picture.abort;
    const tell = (event) => {
      if (signal.aborted) return;
      picture.event = event;
      this.changed(picture);
    };
    Object.assign(picture, { state: 'running', begun: Date.now() });
    try {
      tell({ phase: 'sending' });
      const { report, files } = await run(form, signal, [...FILES, ...LINKS], tell);
      const [saved, shown, before, kernel, kernelPicture, page, unsupported, sidecar, ...rest] = files;
      const made = { saved, shown, before, kernel, kernelPicture, page, unsupported, sidecar };
      picture.finish(report, { ...made, steps: steps(report, rest) }, asked);
    } catch (error) {
      if (signal.aborted) return;
      this.settle(picture);
      if (error.status === 401) this.refused();
      else this.fail(picture, error);
    }
    picture.abort = null;
    this.changed(picture);
  }

  fail(picture, error) {
    picture.error = error instanceof TypeError ? text.offline : error.message;
    if (picture.state === 'open') picture.state = 'failed';
  }
}
