// Keyboard shortcuts, row choice, and messages. Works without: every action is also a link or a button.
"use strict";
(() => {
  let pending = "";
  const typing = (e) => e.target.closest("input, textarea, select, [contenteditable]");
  const rows = () => [...document.querySelectorAll("tr[data-row]")];
  const current = () => document.querySelector("tr[data-row].current");
  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(current());
    const next = all[Math.max(0, Math.min(all.length - 1, at + step))] || all[0];
    all.forEach((row) => row.classList.toggle("current", row === next));
    next.scrollIntoView({ block: "nearest" });
    (next.querySelector("[data-open]") || next).focus?.();
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (typing(e)) { if (e.key === "Escape") e.target.blur(); return; }
    const keys = pending ? `${pending} ${e.key}` : e.key;
    pending = "";
    if (keys === "g") { pending = "g"; setTimeout(() => { pending = ""; }, 900); return; }
    const target = document.querySelector(`[data-key="${CSS.escape(keys).replace(/\\ /g, " ")}"]`);
    if (target) { e.preventDefault(); target.matches("input") ? target.focus() : target.click(); return; }
    if (keys === "j") move(1);
    else if (keys === "k") move(-1);
    else if (keys === "x") { const box = current()?.querySelector("input[type=checkbox]"); if (box) box.checked = !box.checked; }
    else if (keys === "?") document.getElementById("keys")?.showModal();
  });
  // On a phone the pages' names are a strip that scrolls: the one that is open is in sight.
  for (const name of [".bar nav", ".subnav"]) {
    const strip = document.querySelector(name), here = strip?.querySelector("[aria-current]");
    if (here) strip.scrollLeft = here.offsetLeft - strip.offsetLeft - 40;
  }
  document.addEventListener("click", (e) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(e.target)) menu.open = false;
    const copy = e.target.closest("[data-copy]");
    if (copy) navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent).then(() => { copy.textContent = copy.dataset.done; });
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  if (navigator.clipboard) for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  document.addEventListener("change", (e) => {
    if (e.target.id === "choose-all") document.querySelectorAll('input[name="call"]').forEach((box) => { box.checked = e.target.checked; });
  });
  document.addEventListener("htmx:responseError", (e) => {
    const toast = document.getElementById("toast");
    try { toast.textContent = JSON.parse(e.detail.xhr.responseText).error; } catch { toast.textContent = String(e.detail.xhr.status); }
    setTimeout(() => { toast.textContent = ""; }, 6000);
  });
})();
