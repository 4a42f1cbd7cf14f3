// Rows that stay: of a thousand only those are touched that have changed, so that a look or a keystroke is quick.

export class Table {
  /** `make(one)` gives a row: `{element, update(one)}`. */
  constructor(body, make) {
    this.body = body;
    this.make = make;
    this.rows = new Map(); // by the document's id: {row, one}
  }

  /** Show these documents in this order, hiding those that do not fit; how many are shown. */
  draw(documents, fits) {
    this.#drop(new Set(documents.map((one) => one.document_id)));
    let at = this.body.firstElementChild, shown = 0;
    for (const one of documents) {
      const { element } = this.#row(one);
      if (element === at) at = at.nextElementSibling;
      else this.body.insertBefore(element, at);
      const isShown = fits(one);
      if (element.hidden === isShown) element.hidden = !isShown;
      shown += isShown;
    }
    return shown;
  }

  /** The row below this document's that is shown, else the one above. */
  beside(id) {
    const step = (element, way) => (element === null || element === undefined || !element.hidden ? element : step(element[way], way));
    const own = this.rows.get(id)?.row.element;
    return step(own?.nextElementSibling, "nextElementSibling") ?? step(own?.previousElementSibling, "previousElementSibling");
  }

  #drop(kept) {
    for (const [id, { row }] of this.rows) {
      if (kept.has(id)) continue;
      row.element.remove();
      this.rows.delete(id);
    }
  }

  #row(one) {
    const found = this.rows.get(one.document_id);
    if (found === undefined) {
      const row = this.make(one);
      this.rows.set(one.document_id, { row, one });
      return row;
    }
    if (found.one !== one) {
      found.row.update(one);
      found.one = one;
    }
    return found.row;
  }
}
