// The count of alerts in the header. It is renewed only while somebody uses the page: a page that is merely left open
// must not keep its session alive.
"use strict";
(() => {
  const EVERY = 30000, IDLE = 10 * 60000;
  let used = Date.now();
  for (const kind of ["pointermove", "pointerdown", "keydown", "scroll"]) {
    addEventListener(kind, () => { used = Date.now(); }, { passive: true, capture: true });
  }
  const renew = () => { document.body.dispatchEvent(new CustomEvent("callgate:alerts")); };
  setInterval(() => { if (!document.hidden && Date.now() - used < IDLE) renew(); }, EVERY);
})();
