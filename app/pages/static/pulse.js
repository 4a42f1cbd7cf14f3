// Looks again and again: not while nobody sees the page, and on through a service that is away for a while.

/**
 * Calls `look(turn)` now and `ms` after each look has ended. `tell(null)` after each that went well; `tell({since, refusal})`
 * after each that did not, `since` being the time of the first. A look that returns false was the last one.
 */
export function pulse(look, ms, tell) {
  let timer, since = null, turn = 0, isLooking = false, isOver = false;

  async function beat() {
    if (isLooking || isOver) return;
    clearTimeout(timer);
    isLooking = true;
    try {
      isOver = (await look(turn++)) === false;
      since = null;
      tell(null);
    } catch (refusal) {
      if (refusal.status === undefined) throw refusal; // a fault of the page's own
      since ??= new Date();
      tell({ since, refusal });
    } finally {
      isLooking = false;
    }
    if (!isOver && !document.hidden) timer = setTimeout(beat, ms);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) beat();
  });
  beat();
}
