// The call page: a two-lane waveform, a transcript that follows it and seeks, the emotion curve.
"use strict";
addEventListener("DOMContentLoaded", async () => {
  const box = document.getElementById("wave");
  if (!box) return;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const seconds = Number(box.dataset.seconds) || 1;
  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const turns = [...document.querySelectorAll(".turn")].map((li) => ({ li, start: +li.dataset.start, end: +li.dataset.end }));
  const out = document.getElementById("clock");
  const follow = (at) => {
    out.textContent = clock(at);
    let shown = null;
    for (const turn of turns) {
      const now = at >= turn.start && at < turn.end;
      turn.li.classList.toggle("now", now);
      if (now) shown = turn.li;
    }
    if (shown && shown !== follow.last && wave?.isPlaying()) shown.scrollIntoView({ block: "center" });
    follow.last = shown;
    const field = document.getElementById("comment-at");
    if (field && document.activeElement !== field) field.value = at.toFixed(1);
  };
  let wave = null;
  const answer = box.dataset.recorded ? await fetch(`/calls/${box.dataset.call}/peaks.json?bins=1600`) : null;
  if (answer?.ok) {
    const { peaks, seconds: length, covered } = await answer.json();
    const regions = WaveSurfer.Regions ? WaveSurfer.Regions.create() : null;
    const lane = (name) => ({ waveColor: css(name), progressColor: css(name), height: 56 });
    wave = WaveSurfer.create({
      container: box, cspNonce: box.dataset.nonce, peaks, duration: length || seconds, cursorColor: css("--ink"),
      splitChannels: [lane("--borrower"), lane("--agent")], normalize: true, dragToSeek: true,
      url: box.dataset.listen ? `/calls/${box.dataset.call}/recording.wav` : undefined,
      backend: "MediaElement", plugins: regions ? [regions] : [],
    });
    wave.on("timeupdate", follow);
    wave.on("interaction", (at) => follow(at));
    wave.once("ready", () => {
      if (!regions) return;
      for (const each of covered) regions.addRegion({ start: each.start, end: each.end, channelIdx: each.channel, drag: false, resize: false, color: "rgba(120,120,120,.45)" });
      for (const turn of turns) {
        const angry = turn.li.querySelector(".e-angry, .e-frustrated"), refused = turn.li.querySelector(".d-refuse, .d-escalate, .d-end_call");
        if (angry || refused) regions.addRegion({ start: turn.start, end: turn.end, drag: false, resize: false, color: refused ? "rgba(176,0,32,.18)" : "rgba(179,66,10,.16)" });
      }
    });
  }
  const seek = (at) => { wave?.setTime(at); follow(at); };
  document.addEventListener("click", (e) => {
    const to = e.target.closest("[data-seek]"), skip = e.target.closest("[data-skip]");
    if (to) seek(Number(to.dataset.seek));
    else if (skip && wave) seek(Math.max(0, wave.getCurrentTime() + Number(skip.dataset.skip)));
    else if (e.target.id === "play") wave?.playPause();
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === " " && !e.target.closest("input, textarea, select, button, a, summary")) { e.preventDefault(); wave?.playPause(); }
  });
  document.getElementById("speed")?.addEventListener("change", (e) => wave?.setPlaybackRate(Number(e.target.value), true));
  const chart = document.getElementById("emotion");
  const curve = JSON.parse(chart.dataset.curve), names = JSON.parse(chart.dataset.names);
  if (!curve.length) { chart.remove(); return; }
  const plot = echarts.init(chart);
  const line = (key, colour) => ({ name: names[key], type: "line", smooth: true, symbolSize: 6, lineStyle: { color: colour }, itemStyle: { color: colour }, data: curve.map((p) => [p.at, p[key]]) });
  plot.setOption({
    animation: false, grid: { left: 34, right: 26, top: 22, bottom: 20 }, textStyle: { color: css("--muted") },
    legend: { top: 0, textStyle: { color: css("--muted") } }, // Rich text is drawn on the canvas; the other kind would need inline styles, which our policy forbids.
    tooltip: { trigger: "axis", renderMode: "richText", confine: true, backgroundColor: css("--card"), borderColor: css("--line"), textStyle: { color: css("--ink") }, valueFormatter: (v) => (v === null ? "–" : Number(v).toFixed(2)) },
    xAxis: { type: "value", min: 0, max: seconds, axisLabel: { formatter: clock, color: css("--muted") }, splitLine: { show: false } },
    yAxis: { type: "value", min: -1, max: 1, interval: 1, axisLabel: { color: css("--muted") }, splitLine: { lineStyle: { color: css("--line") } } },
    series: [line("valence", css("--accent")), line("arousal", css("--s3"))],
  });
  plot.on("click", (p) => seek(p.data[0]));
  addEventListener("resize", () => plot.resize());
});
