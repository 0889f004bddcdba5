// The report of a result: how far to believe it, and the map of what the method filled in, over the result.
import { byId, download, make } from '/page/dom.js';
import { text } from '/page/texts.js';

export class Trust {
  /** picture(): the current one. */
  constructor(picture) {
    this.picture = picture;
    byId('trust-open').addEventListener('click', () => this.open(byId('trust').hidden));
    byId('veil-on').addEventListener('change', () => this.lay());
    byId('trust-save').addEventListener('click', () => {
      download(this.picture().page, `${this.picture().stem}-report.html`);
    });
  }

  open(is) {
    byId('trust').hidden = !is;
    byId('trust-open').setAttribute('aria-expanded', String(is));
    this.lay();
  }

  /** Bring it up to date with the current picture. */
  show() {
    const { report, page, earlier } = this.picture();
    const there = Boolean(page && report.trust);
    byId('trust-open').hidden = !there;
    if (!there) return this.open(false);
    const { trust } = report;
    byId('trust-of').hidden = !earlier;
    const finding = ({ text: said, good }) => make('li', { className: good ? 'good' : 'doubt', textContent: text.finding(said, good) });
    byId('trust-findings').replaceChildren(...trust.findings.map(finding));
    const facts = text.facts(trust).filter(([, value]) => value);
    byId('trust-facts').replaceChildren(
      ...facts.flatMap(([name, value]) => [make('dt', { textContent: name }), make('dd', { textContent: value })]),
    );
    byId('veil-scale').textContent = trust.unsupported_top ? text.veilScale(trust.unsupported_top) : '';
    this.lay();
  }

  /** Lay the map over the result, or take it away. */
  lay() {
    const { veil } = this.picture();
    byId('veil-row').hidden = byId('veil-scale').hidden = !veil;
    const shown = byId('veil');
    shown.hidden = !veil || !byId('veil-on').checked || byId('trust').hidden;
    if (!shown.hidden && shown.src !== veil) shown.src = veil;
  }
}
