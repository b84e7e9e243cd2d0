"use strict";

(() => {
  const charts = JSON.parse(document.getElementById("data").textContent);
  const number = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
  const small = window.matchMedia("(max-width: 600px)");

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // Texts come from an API that may be hostile, and Plotly reads some tags in texts.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const short = (text, length = 28) => plain(text.length > length ? `${text.slice(0, length - 1)}…` : text);

  const axis = (title, more = {}) => ({
    title: { text: title, font: { size: 12, color: color("quiet") } },
    gridcolor: color("line"),
    linecolor: color("line"),
    zerolinecolor: color("line"),
    tickfont: { color: color("quiet") },
    automargin: true,
    fixedrange: true,
    ...more,
  });

  const layout = (height, more) => ({
    height,
    margin: { l: 8, r: 16, t: 8, b: 8 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: color("font"), color: color("text"), size: 13 },
    hoverlabel: { bgcolor: color("card"), bordercolor: color("line"), font: { color: color("text") } },
    showlegend: false,
    ...more,
  });

  const line = (name, x, y, stroke, more = {}) => ({
    type: "scatter",
    mode: x.length > 1 ? "lines" : "markers",
    name, x, y,
    line: { color: stroke, width: 2 },
    marker: { color: stroke, size: 8 },
    hovertemplate: `%{y:,.3~r} ${name}/s<extra></extra>`,
    ...more,
  });

  // Each point is until when, and the rates of rows, calls and failed rows up to then.
  const rates = (points) => {
    const until = points.map((point) => point[0]);
    const column = (index) => points.map((point) => point[index]);
    const traces = [
      line("calls", until, column(2), color("series-2"), { line: { color: color("series-2"), width: 1.5, dash: "dot" } }),
      line("rows", until, column(1), color("series-1"), { fill: "tozeroy", fillcolor: color("series-1-area") }),
    ];
    if (points.some((point) => point[3] > 0)) traces.push(line("failed", until, column(3), color("bad")));
    return {
      traces,
      layout: layout(280, {
        hovermode: "x unified",
        xaxis: axis("seconds since the start", { rangemode: "tozero", ticksuffix: " s" }),
        yaxis: axis("per second", { rangemode: "tozero", separatethousands: true }),
        showlegend: true,
        legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "reversed" },
      }),
    };
  };

  const mark = ([name, ms], index) => ({
    line: { type: "line", xref: "x", yref: "paper", x0: ms, x1: ms, y0: 0, y1: 1, line: { color: color("quiet"), width: 1, dash: "dash" } },
    label: {
      xref: "x", yref: "paper", x: Math.log10(ms), y: 1, yanchor: "bottom", yshift: (index % 2) * 15,
      text: short(name), showarrow: false, font: { size: 11, color: color("quiet") },
    },
  });

  // The x axis is logarithmic, on which no bar can begin at 0: rows that took no time stand just left of the others.
  const latency = ({ bins, marks }) => {
    const first = bins.find((bin) => bin[1] > 0);
    const shown = bins.map(([above, upto, rows]) => (upto > 0 ? [above, upto, rows] : [first ? first[0] / 1.3 : 0.5, first ? first[0] : 1, rows]));
    const lines = marks.filter((each) => each[1] > 0).map(mark);
    return {
      traces: [{
        type: "bar",
        x: shown.map(([above, upto]) => Math.sqrt(above * upto)),
        width: shown.map(([above, upto]) => upto - above),
        y: shown.map((bin) => bin[2]),
        customdata: bins.map(([above, upto]) => `${number.format(above)} to ${number.format(upto)} ms`),
        marker: { color: color("series-1") },
        hovertemplate: "%{customdata}<br>%{y:,} rows<extra></extra>",
      }],
      layout: layout(280, {
        margin: { l: 8, r: 16, t: 34, b: 8 },
        bargap: 0,
        xaxis: axis("milliseconds", { type: "log", dtick: small.matches ? 1 : "D2", tickformat: ",~r" }),
        yaxis: axis("rows", { separatethousands: true }),
        shapes: lines.map((each) => each.line),
        annotations: lines.map((each) => each.label),
      }),
    };
  };

  // Each row is a name, a number, the number in words, and a tone.
  const bars = (rows) => {
    const shown = rows.slice(0, 15).reverse();
    return {
      traces: [{
        type: "bar",
        orientation: "h",
        y: shown.map((_, index) => index),
        x: shown.map((row) => row[1]),
        text: shown.map((row) => plain(row[2])),
        customdata: shown.map((row) => short(row[0], 80)),
        textposition: "auto",
        insidetextanchor: "end",
        marker: { color: shown.map((row) => color(row[3] === "plain" ? "series-1" : row[3])) },
        insidetextfont: { color: color("on-bar") },
        outsidetextfont: { color: color("text") },
        hovertemplate: "%{customdata}: %{text}<extra></extra>",
        cliponaxis: false,
      }],
      layout: layout(60 + 32 * shown.length, {
        bargap: 0.3,
        xaxis: axis("", { visible: false, rangemode: "tozero" }),
        yaxis: axis("", { tickvals: shown.map((_, index) => index), ticktext: shown.map((row) => short(row[0])), ticks: "", showgrid: false, zeroline: false, tickfont: { color: color("text") } }),
      }),
    };
  };

  const kinds = { rates, latency, bars };

  const draw = () => {
    for (const place of document.querySelectorAll("[data-chart]")) {
      const { kind, data } = charts[place.dataset.chart];
      const chart = kinds[kind](data);
      Plotly.react(place, chart.traces, chart.layout, { displayModeBar: false, responsive: true });
    }
    document.documentElement.dataset.drawn = document.documentElement.dataset.theme;
  };

  draw();
  document.addEventListener("theme", draw);
})();
