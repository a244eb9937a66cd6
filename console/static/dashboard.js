// Charts of the dashboard. Each draws the table beside it; a click on a mark goes to its calls; PNG saves the picture.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colours = ["--accent", "--borrower", "--s2", "--s4", "--s1", "--s3"].map(css);
  const moods = { neutral: css("--s0"), positive: css("--good"), anxious: css("--s1"), sad: css("--borrower"), frustrated: css("--s2"), angry: css("--s4") };
  const formats = {
    percent: (v) => (v === null || v === undefined ? "–" : `${(v * 100).toFixed(1)}%`),
    score: (v) => (v === null || v === undefined ? "–" : (Math.round(v * 100) / 100 + 0).toFixed(2)),
    number: (v) => (v === null || v === undefined ? "–" : String(v)),
  };
  const plots = new Map();
  for (const box of document.querySelectorAll("[data-chart]")) {
    const chart = JSON.parse(box.dataset.chart), say = formats[chart.format], bar = chart.kind === "bar";
    const line = chart.kind === "line";
    const plot = echarts.init(box);
    const axis = { axisLabel: { color: css("--muted") }, axisLine: { lineStyle: { color: css("--line") } }, axisTick: { show: false } };
    const names = { ...axis, type: "category", data: chart.x, inverse: bar, axisLabel: { color: css("--muted"), hideOverlap: true, ...(bar ? { width: 150, overflow: "truncate" } : {}) } };
    // Names of all lines stand above the chart, in as many rows as they need: none is behind an arrow.
    const room = Math.max(box.clientWidth, 200);
    const rows = chart.series.reduce((found, each) => {
      const wide = 46 + [...each.name].reduce((sum, c) => sum + (c.charCodeAt(0) > 255 ? 12.5 : 7), 0);
      return found.at + wide > room && found.at ? { n: found.n + 1, at: wide } : { n: found.n, at: found.at + wide };
    }, { n: 1, at: 0 }).n;
    const far = Math.max(0, ...chart.series.flatMap((each) => each.data.map((v) => Math.abs(v ?? 0))));
    const reach = Math.min(1, Math.max(0.2, Math.ceil(far * 10) / 10));
    const limits = chart.format === "percent" && !line ? { min: 0, max: 1 } : chart.format === "percent" ? { min: 0, max: (v) => Math.min(1, Math.max(0.1, Math.ceil(v.max * 10) / 10)) } : chart.format === "score" ? { min: -reach, max: reach, name: chart.axis, nameLocation: "middle", nameGap: 40, nameTextStyle: { color: css("--muted") } } : { min: 0, minInterval: 1 };
    const values = { ...axis, type: "value", ...limits, splitLine: { lineStyle: { color: css("--line") } }, axisLabel: { color: css("--muted"), formatter: chart.format === "percent" ? (v) => `${Math.round(v * 100)}%` : chart.format === "score" ? (v) => say(v) : undefined } };
    const series = chart.series.map((each, i) => {
      const colour = chart.colours ? moods[chart.colours[i]] : colours[i % colours.length];
      return {
        name: each.name, type: line ? "line" : "bar", stack: chart.kind === "stack" ? "all" : undefined, data: each.data, barMaxWidth: 38, connectNulls: line,
        symbol: ["circle", "rect", "triangle", "diamond", "roundRect"][i % 5], symbolSize: chart.x.length > 40 ? 5 : 8, itemStyle: { color: colour }, lineStyle: { color: colour, width: 2 },
      };
    });
    plot.setOption({
      animation: false, color: colours, backgroundColor: "transparent", textStyle: { color: css("--ink"), fontFamily: getComputedStyle(document.body).fontFamily },
      aria: { enabled: false },
      grid: { left: bar ? 24 : chart.axis ? 28 : 8, right: 20, top: series.length > 1 ? 14 + rows * 24 : 16, bottom: 8, containLabel: true },
      legend: series.length > 1 ? { type: "plain", left: 0, top: 0, itemGap: 12, itemWidth: 22, textStyle: { color: css("--ink") } } : undefined,
      // Rich text is drawn on the canvas; the other kind would need inline styles, which our policy forbids.
      tooltip: { trigger: line ? "axis" : "item", renderMode: "richText", confine: true, backgroundColor: css("--card"), borderColor: css("--line"), textStyle: { color: css("--ink") }, valueFormatter: say },
      xAxis: bar ? values : names, yAxis: bar ? names : values, series,
    });
    plot.on("click", (p) => {
      const href = chart.series[p.seriesIndex]?.hrefs[p.dataIndex];
      if (href) location.assign(href);
    });
    plots.set(box.id.replace("chart-", ""), plot);
  }
  addEventListener("resize", () => { for (const plot of plots.values()) plot.resize(); });
  document.addEventListener("click", (e) => {
    const button = e.target.closest("[data-png]");
    if (!button) return;
    const link = document.createElement("a");
    link.href = plots.get(button.dataset.png).getDataURL({ type: "png", pixelRatio: 2, backgroundColor: css("--card") });
    link.download = `callgate-${button.dataset.png}.png`;
    link.click();
  });
});
