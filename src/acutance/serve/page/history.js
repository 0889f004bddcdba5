// Undo and redo of a value that is read and written as a whole.

const MOST = 100;

export class History {
  /** read(): the value now, plain. write(value): make it so. changed(): called when there is more or less to undo. */
  constructor(read, write, changed) {
    Object.assign(this, { read, write, changed });
    this.past = [];
    this.future = [];
    this.now = JSON.stringify(read());
  }

  /** The value may have changed: remember what it was. */
  note() {
    const now = JSON.stringify(this.read());
    if (now === this.now) return;
    this.past = [...this.past, this.now].slice(-MOST);
    this.future = [];
    this.now = now;
    this.changed();
  }

  undo() {
    this.go(this.past, this.future);
  }

  redo() {
    this.go(this.future, this.past);
  }

  go(from, to) {
    if (!from.length) return;
    to.push(this.now);
    this.now = from.pop();
    this.write(JSON.parse(this.now));
    this.changed();
  }
}
