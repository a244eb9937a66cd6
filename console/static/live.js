// Live calls: rows that follow server-sent events, at most one redraw a frame, and listening in through WebAudio.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const table = document.getElementById("live"), state = document.getElementById("live-state");
  if (!table) return;
  const body = table.tBodies[0], template = document.getElementById("live-row");
  const rows = new Map([...body.rows].map((row) => [row.dataset.call, row]));
  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const languages = { zh: "中文", en: "English" };
  const say = (text) => { if (state.textContent !== text) state.textContent = text; };

  const cell = (row, name) => row.querySelector(`[data-cell="${name}"]`);
  const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const make = (call) => {
    const row = template.content.firstElementChild.cloneNode(true);
    row.dataset.call = call.call_id;
    for (const form of row.querySelectorAll("form")) form.action = form.getAttribute("action").replace("/live//", `/live/${encodeURIComponent(call.call_id)}/`);
    body.append(row);
    rows.set(call.call_id, row);
    return row;
  };
  const draw = (call) => {
    const row = rows.get(call.call_id) || make(call);
    row.dataset.started = call.started_at;
    row.className = `sev${call.severity}`;
    put(cell(row, "language").firstChild, languages[call.lang] || call.lang);
    put(cell(row, "campaign"), call.campaign);
    const emotion = cell(row, "emotion");
    emotion.className = call.emotion ? `tag e-${call.emotion}` : "tag";
    put(emotion, call.emotion_name);
    put(cell(row, "who"), call.who_name);
    const words = cell(row, "text");
    words.lang = call.lang === "zh" ? "zh-CN" : "en";
    put(words, call.text);
    put(cell(row, "state"), call.state === "live" ? "" : call.state_name);
    const flags = cell(row, "flags"), key = JSON.stringify(call.flags);
    if (flags.dataset.key !== key) {
      flags.dataset.key = key;
      flags.replaceChildren(...call.flags.flatMap((flag) => {
        const tag = document.createElement("span");
        tag.className = `tag s${flag.severity}`;
        tag.textContent = flag.reason;
        return [tag, " "];
      }));
      if (call.flags.length) document.body.dispatchEvent(new CustomEvent("callgate:alerts"));
    }
    const hand = row.querySelector('form[action$="/take-over"] button');
    if (hand) hand.disabled = !call.can_take_over || call.state !== "live";
  };
  const remove = (id) => {
    rows.get(id)?.remove();
    rows.delete(id);
    if (listening?.id === id) stop();
  };

  const waiting = new Map();
  let drawn = false;
  const later = (call) => {
    waiting.set(call.call_id, call);
    if (!drawn) { drawn = true; requestAnimationFrame(flush); }
  };
  const flush = () => {
    drawn = false;
    for (const call of waiting.values()) call.ended ? remove(call.call_id) : draw(call);
    waiting.clear();
    tick();
    put(document.getElementById("live-count"), String(rows.size));
    document.getElementById("live-empty").hidden = rows.size > 0;
  };
  const tick = () => {
    const now = Date.now();
    for (const row of rows.values()) put(cell(row, "length"), clock(Math.max(0, (now - Date.parse(row.dataset.started)) / 1000)));
  };
  tick();
  setInterval(tick, 1000);

  const source = new EventSource(table.dataset.events);
  source.addEventListener("open", () => say(state.dataset.on));
  source.addEventListener("error", () => say(source.readyState === EventSource.CLOSED ? state.dataset.closed : state.dataset.off));
  source.addEventListener("calls", (e) => {
    const calls = JSON.parse(e.data), here = new Set(calls.map((call) => call.call_id));
    for (const id of rows.keys()) if (!here.has(id)) later({ call_id: id, ended: true });
    calls.forEach(later);
  });
  source.addEventListener("call", (e) => later(JSON.parse(e.data)));
  source.addEventListener("closed", () => { source.close(); stop(); say(state.dataset.closed); });
  addEventListener("pagehide", () => { source.close(); stop(); });

  // Listening in: one call at a time. Pieces of PCM are queued on the audio clock, a little ahead of it.
  const LEAD = 0.15;
  let listening = null;
  const stop = () => {
    if (!listening) return;
    listening.abort.abort();
    listening.context.close();
    const button = listening.button;
    button.setAttribute("aria-pressed", "false");
    button.textContent = state.dataset.listen;
    listening = null;
  };
  const listen = async (row, button) => {
    stop();
    const mine = { id: row.dataset.call, button, abort: new AbortController(), context: new AudioContext({ sampleRate: 8000 }) };
    listening = mine;
    button.setAttribute("aria-pressed", "true");
    button.textContent = state.dataset.stop;
    try {
      const answer = await fetch(`/live/${encodeURIComponent(mine.id)}/sound`, { signal: mine.abort.signal });
      if (!answer.ok) throw new Error((await answer.json()).error);
      say(state.dataset.taken);
      const reader = answer.body.getReader();
      let rest = new Uint8Array(0), header = 44, at = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done || listening !== mine) break;
        const skipped = Math.min(header, value.length);
        header -= skipped;
        const bytes = new Uint8Array(rest.length + value.length - skipped);
        bytes.set(rest);
        bytes.set(value.subarray(skipped), rest.length);
        const count = bytes.length >> 1;
        rest = bytes.slice(count * 2);
        if (!count) continue;
        const view = new DataView(bytes.buffer), buffer = mine.context.createBuffer(1, count, 8000), samples = buffer.getChannelData(0);
        for (let i = 0; i < count; i += 1) samples[i] = view.getInt16(i * 2, true) / 32768;
        const node = mine.context.createBufferSource();
        node.buffer = buffer;
        node.connect(mine.context.destination);
        const now = mine.context.currentTime;
        if (at < now || at > now + 2) at = now + LEAD;
        node.start(at);
        at += count / 8000;
      }
      if (listening === mine) say(state.dataset.quiet);
    } catch (error) {
      if (error.name !== "AbortError" && listening === mine) say(`${state.dataset.refused}: ${error.message}`);
    }
    if (listening === mine) stop();
  };
  body.addEventListener("click", (e) => {
    const button = e.target.closest("[data-listen]");
    if (!button) return;
    const row = button.closest("tr");
    if (listening?.id === row.dataset.call) { stop(); say(state.dataset.on); } else listen(row, button);
  });
  body.addEventListener("submit", async (e) => {
    e.preventDefault();
    if (!confirm(e.target.dataset.confirm)) return;
    const answer = await fetch(e.target.action, { method: "POST", headers: { accept: "application/json" } });
    if (!answer.ok) {
      const told = await answer.json().catch(() => ({ error: answer.status }));
      say(`${state.dataset.refused}: ${told.error}`);
    }
  });
});
