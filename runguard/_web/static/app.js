// What the pages do with a script: the reader's own times, live parts, charts to point at.
// Without it everything can be read, and every form works.
"use strict";

(() => {
  const root = document.documentElement;
  const find = (selector, from = document) => [...from.querySelectorAll(selector)];
  const kept = {
    get(name) { try { return localStorage.getItem(`runguard.${name}`); } catch { return null; } },
    set(name, value) { try { localStorage.setItem(`runguard.${name}`, value); } catch { /* full */ } },
  };

  // Times: in the reader's zone, with UTC in the title.
  const sameDay = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const sameYear = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const anyDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const dayOnly = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
  let ahead = 0; // how far the database's clock is ahead of ours, in milliseconds

  const now = () => new Date(Date.now() + ahead);
  function spell(instant, form) {
    if (form === "age") return wording.age(instant, now());
    if (form === "exact") return exactly.format(instant);
    const today = now();
    if (instant.toDateString() === today.toDateString()) return sameDay.format(instant);
    const near = instant.getFullYear() === today.getFullYear();
    return (near ? sameYear : anyDay).format(instant);
  }

  function localise(from = document) {
    for (const element of find("time[data-form]", from)) {
      const instant = new Date(element.dateTime);
      if (Number.isNaN(instant.valueOf())) continue;
      const said = spell(instant, element.dataset.form);
      if (element.textContent !== said) element.textContent = said;
    }
  }

  // What a chart says of a cell when it is pointed at.
  document.addEventListener("pointerover", (event) => {
    const title = event.target.closest?.("svg a")?.querySelector("title");
    if (!title || title.dataset.local) return;
    title.dataset.local = "true";
    title.textContent = title.textContent.replace(/(\d{4}-\d\d-\d\d) ([\d:]{5,8}) UTC/, (utc, day, time) => `${exactly.format(new Date(`${day}T${time}Z`))} (${utc})`);
  });

  function readClock() {
    const clock = document.getElementById("clock");
    if (clock) ahead = new Date(clock.value) - Date.now();
  }

  // Light, dark, or as the system is.
  const schemes = { "": "Theme: system", light: "Theme: light", dark: "Theme: dark" };
  const theme = document.getElementById("theme");

  function showTheme() { theme.textContent = schemes[root.dataset.theme ?? ""]; }

  theme.hidden = false;
  theme.addEventListener("click", () => {
    const names = Object.keys(schemes);
    const next = names[(names.indexOf(root.dataset.theme ?? "") + 1) % names.length];
    if (next) root.dataset.theme = next; else delete root.dataset.theme;
    kept.set("theme", next);
    showTheme();
    drawAll(true);
  });

  // Alerts: choose many, and say how many.
  function countChosen() {
    const acts = document.querySelector("[data-acts]");
    if (!acts) return;
    const boxes = find('input[name="alert_id"]');
    const chosen = boxes.filter((box) => box.checked).length;
    document.getElementById("count").textContent = chosen ? `${chosen} chosen` : "";
    const all = document.getElementById("all");
    all.closest("label").hidden = !boxes.length;
    all.checked = boxes.length > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }

  document.addEventListener("change", (event) => {
    if (event.target.id === "all") {
      for (const box of find('input[name="alert_id"]')) box.checked = event.target.checked;
    }
    if (event.target.id === "all" || event.target.name === "alert_id") countChosen();
    if (event.target.dataset.kept) kept.set(event.target.dataset.kept, event.target.value);
  });
  for (const input of find("input[data-kept]")) input.value ||= kept.get(input.dataset.kept) ?? "";

  // A form's empty fields make an address long and say nothing.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "get") return;
    const empty = find("input, select", event.target).filter((field) => field.value === "");
    for (const field of empty) field.disabled = true;
    setTimeout(() => { for (const field of empty) field.disabled = false; });
  });
  window.addEventListener("pageshow", countChosen);

  // On a phone the filters stand in the way of what they filter, until they are asked for.
  const isNarrow = matchMedia("(max-width: 760px)");
  for (const form of find("form.filters")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet unfold";
    const set = find("input, select", form).filter((field) => field.value && field.name !== "order").length;
    button.textContent = set ? `Filters (${set})` : "Filters";
    button.addEventListener("click", () => {
      form.classList.toggle("folded");
      button.setAttribute("aria-expanded", String(!form.classList.contains("folded")));
    });
    const fit = () => {
      button.hidden = !isNarrow.matches;
      form.classList.toggle("folded", isNarrow.matches);
      button.setAttribute("aria-expanded", String(!isNarrow.matches));
    };
    form.before(button);
    isNarrow.addEventListener("change", fit);
    fit();
  }

  // Durations as a chart to point at, in the place of the picture from the server.
  const plots = new Map();
  const fills = { "c-ok": "--ok", "c-run": "--run", "g-HTTP_5XX": "--g-5xx", "g-TIMEOUT": "--g-timeout",
    "g-UNKNOWN": "--g-unknown", "g-HTTP_4XX": "--g-4xx", "g-HTTP_409": "--g-409", "g-LOCK_CONFLICT": "--g-lock" };

  function resolved(name) {
    // A canvas knows no `light-dark()`: let an element work it out.
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  function draw(figure) {
    const { href, usual, runs } = JSON.parse(figure.dataset.points);
    const before = plots.get(figure.id);
    before?.plot.destroy();
    before?.host.remove();
    plots.delete(figure.id);
    if (runs.length < 2 || runs[0][0] === runs[runs.length - 1][0]) return;
    const host = document.createElement("div");
    const tip = document.createElement("p");
    tip.className = "plot-tip";
    host.className = "plot-host";
    figure.append(host);
    const paints = Object.fromEntries(Object.entries(fills).map(([name, variable]) => [name, resolved(variable)]));
    const other = resolved("--g-other");
    const dim = resolved("--dim");
    const edge = resolved("--chart-grid");
    const small = figure.clientWidth < 500;

    function points(plot, series) {
      const { ctx } = plot;
      const ratio = devicePixelRatio;
      ctx.save();
      runs.forEach(([at, took, , kind], place) => {
        const x = plot.valToPos(at, "x", true);
        const y = plot.valToPos(took, "y", true);
        const chosen = plot.cursor.idx === place;
        ctx.fillStyle = ctx.strokeStyle = paints[kind] ?? other;
        ctx.lineWidth = 2 * ratio;
        ctx.beginPath();
        if (kind === "c-ok") {
          ctx.arc(x, y, (chosen ? 5 : 3) * ratio, 0, 2 * Math.PI);
          ctx.fill();
        } else {
          const arm = (chosen ? 6 : 4) * ratio;
          ctx.moveTo(x - arm, y - arm); ctx.lineTo(x + arm, y + arm);
          ctx.moveTo(x - arm, y + arm); ctx.lineTo(x + arm, y - arm);
          ctx.stroke();
        }
      });
      ctx.restore();
      return series.show && false;
    }

    // Round steps of an axis of time: seconds as powers of ten, then minutes, hours and days.
    const steps = [.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800,
      3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

    function instants(_, ticks) {
      let day = "";
      return ticks.map((tick) => {
        const instant = new Date(tick * 1000);
        const time = sameDay.format(instant);
        if (instant.toDateString() === day) return time;
        day = instant.toDateString();
        return `${time}\n${dayOnly.format(instant)}`;
      });
    }

    function dashed(plot) {
      if (usual === null) return;
      const { ctx, bbox } = plot;
      const y = plot.valToPos(usual, "y", true);
      if (y < bbox.top) return;
      ctx.save();
      ctx.strokeStyle = dim;
      ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.restore();
    }

    const axis = { stroke: dim, font: "12px system-ui, sans-serif", grid: { stroke: edge, width: 1 }, ticks: { show: false } };
    const plot = new uPlot({
      width: Math.floor(figure.getBoundingClientRect().width),
      height: small ? 200 : 250,
      legend: { show: false },
      cursor: { drag: { x: true, y: false }, points: { show: false }, y: false },
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
      axes: [{ ...axis, space: small ? 70 : 90, size: 46, values: instants }, { ...axis, incrs: steps, size: 84, values: (_, ticks) => ticks.map((one) => (one === 0 ? "0" : wording.duration(one))) }],
      series: [{}, { stroke: "transparent", points: { show: points } }],
      hooks: {
        draw: [dashed],
        setCursor: [(plot) => {
          const run = runs[plot.cursor.idx ?? -1];
          host.classList.toggle("on-run", Boolean(run));
          tip.textContent = run ? `run ${run[2]} · ${run[4]} · ${wording.duration(run[1])} · ${exactly.format(new Date(run[0] * 1000))}` : "● success   ✕ failed · point at a run; drag to zoom, double-click to see all";
          plot.redraw(false);
        }],
      },
    }, [runs.map((run) => run[0]), runs.map((run) => run[1])], host);
    let pressed = 0;
    plot.over.addEventListener("mousedown", (event) => { pressed = event.clientX; });
    plot.over.addEventListener("click", (event) => {
      const run = runs[plot.cursor.idx ?? -1];
      if (run && Math.abs(event.clientX - pressed) < 4) location.href = href + run[2];
    });
    tip.textContent = "● success   ✕ failed · point at a run; drag to zoom, double-click to see all";
    host.append(tip);
    figure.classList.add("plotted");
    widths.observe(figure);
    plots.set(figure.id, { plot, host, drawn: figure.dataset.points });
  }

  function drawAll(again = false) {
    if (typeof uPlot === "undefined") return;
    for (const figure of find("figure[data-plot]")) {
      if (again || plots.get(figure.id)?.drawn !== figure.dataset.points) draw(figure);
    }
  }
  const widths = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const plot = plots.get(target.id)?.plot;
      if (plot && plot.width !== Math.floor(contentRect.width)) plot.setSize({ width: Math.floor(contentRect.width), height: plot.height });
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(true));

  // Live: what the reader has opened, ticked or pointed at stays as it is.
  if (typeof Idiomorph !== "undefined") {
    Object.assign(Idiomorph.defaults.callbacks, {
      beforeAttributeUpdated: (name, node) =>
        !(name === "open" && node.localName === "details") &&
        !(name === "checked") && !(name === "class" && node.classList?.contains("plotted")),
      beforeNodeRemoved: (node) => !["plot-host", "unfold"].some((made) => node.classList?.contains(made)),
      beforeNodeMorphed: (before, after) => {
        // Filters that are chosen, but not asked for yet, stay chosen.
        if (before.localName === "form" && before.classList.contains("filters")) return false;
        // A time that says the same moment needs no new text; its age is kept right here.
        if (before.localName === "time" && before.dateTime === after.dateTime) return false;
        return true;
      },
    });
  }
  const away = document.getElementById("away");

  function refreshed() {
    readClock();
    localise();
    countChosen();
    drawAll();
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && typeof htmx !== "undefined") htmx.trigger(document.body, "refresh");
  });
  document.addEventListener("htmx:afterSwap", () => { away.hidden = true; refreshed(); });
  for (const trouble of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(trouble, () => {
      away.hidden = false;
      away.textContent = `no answer; as of ${sameDay.format(now())}`;
    });
  }
  setInterval(() => { if (!document.hidden) localise(); }, 10000);

  showTheme();
  refreshed();
  root.dataset.ready = "true";
})();
