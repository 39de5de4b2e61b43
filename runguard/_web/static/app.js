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
  let ahead = 0; // how far the database's clock is ahead of ours, in milliseconds

  const now = () => new Date(Date.now() + ahead);

  // Where clocks go back, an hour comes twice: there a time needs its zone.
  const zoneOf = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });
  const zoneName = (instant) => zoneOf.formatToParts(instant).find((part) => part.type === "timeZoneName").value;

  function comesTwice(instant) {
    const here = instant.getTimezoneOffset();
    return [-1, 1].some((sign) => {
      const there = new Date(instant.valueOf() + sign * 3 * 3600000).getTimezoneOffset();
      const twin = new Date(instant.valueOf() + (there - here) * 60000);
      return there !== here && twin.getTimezoneOffset() === there && exactly.format(twin) === exactly.format(instant);
    });
  }

  function spell(instant, form) {
    if (form === "age") return wording.age(instant, now());
    const today = now();
    const near = instant.getFullYear() === today.getFullYear();
    const format = form === "exact" ? exactly
      : instant.toDateString() === today.toDateString() ? sameDay
      : near ? sameYear : anyDay;
    return comesTwice(instant) ? `${format.format(instant)} ${zoneName(instant)}` : format.format(instant);
  }

  function localise(from = document) {
    for (const element of find("time[data-form]", from)) {
      const instant = new Date(element.dateTime);
      if (Number.isNaN(instant.valueOf())) continue;
      const said = spell(instant, element.dataset.form);
      if (element.textContent !== said) element.textContent = said;
    }
  }

  // The zone: named, known to the server for the days of its charts, and that of the filters.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const city = zone.split("/").pop().replaceAll("_", " ");

  function useZone() {
    document.getElementById("zone").textContent = zone === "UTC" ? "UTC" : `${zone} (${zoneName(now())})`;
    for (const name of find("[data-zone-name]")) name.textContent = zone === "UTC" ? "(UTC)" : `(${city} time)`;
    for (const field of find("input[data-instant]")) field.value = fieldValue(new Date(field.dataset.instant));
    const path = new URL(document.querySelector(".brand").href).pathname;
    document.cookie = `runguard_zone=${zone}; path=${path}; max-age=31536000; SameSite=Strict`;
    if (find("#live [data-zone]").some((chart) => chart.dataset.zone !== zone) && typeof htmx !== "undefined") {
      addEventListener("load", () => htmx.trigger(document.body, "refresh"));
    }
  }

  function fieldValue(instant) {
    const wall = new Date(instant - instant.getTimezoneOffset() * 60000).toISOString();
    return wall.slice(0, wall.slice(17, 19) === "00" ? 16 : 19);
  }

  // What a chart says of a cell when it is pointed at: in the reader's zone, and below the chart
  // where there is room for it.
  const svg = "http://www.w3.org/2000/svg";
  const cellWidth = 8; // as in `charts.py`

  function makeOf(name, attributes, ...children) {
    const element = document.createElementNS(svg, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  // A strip holds thousands of elements fewer while nobody points at it.
  function unfoldStrip(strip) {
    if (!strip.dataset.cells || strip.querySelector("a")) return;
    const { y, width, height } = strip.viewBox.baseVal;
    strip.append(...strip.dataset.cells.split("\n").map((said, place) => makeOf("a",
      { href: strip.dataset.to.replace("{}", /\d+/.exec(said)[0]), tabindex: -1 },
      makeOf("title", {}, said),
      makeOf("rect", { class: "hit", x: width - (place + 1) * cellWidth, y, width: cellWidth, height }))));
  }

  const utc = /(\d{4}-\d\d-\d\d) ([\d:]{5,8}) UTC/g;
  document.addEventListener("pointerover", (event) => {
    const strip = event.target.closest?.("svg.strip");
    if (strip) unfoldStrip(strip);
    const title = event.target.closest?.("svg a, svg .lane-missing")?.querySelector("title");
    if (!title) return;
    if (!title.dataset.local) {
      title.dataset.local = "true";
      title.textContent = title.textContent.replace(utc, (said, day, time) => `${spell(new Date(`${day}T${time}Z`), "exact")} (${said})`);
    }
    const line = title.closest("figure")?.querySelector(".pointed");
    if (line) line.textContent = title.textContent;
  });

  // In a timeline a pointer says which job and which time it is at, where no bar says more.
  document.addEventListener("pointermove", (event) => {
    const line = event.target.closest?.(".lane-line");
    if (!line || event.target.closest("a")) return;
    const figure = line.closest("figure");
    const [since, until] = [figure.dataset.since, figure.dataset.until].map((text) => new Date(text).valueOf());
    const { left, width } = line.getBoundingClientRect();
    const instant = new Date(since + (until - since) * Math.min(1, Math.max(0, (event.clientX - left) / width)));
    figure.querySelector(".pointed").textContent = `${line.previousElementSibling.textContent} · ${spell(instant, "exact")}`;
  });

  // Copies a text. Where an address is not secure, a browser lets a page copy only what is selected;
  // where it forbids that too, the text is selected for the reader to copy.
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { /* no secure address, or not allowed */ }
    const before = document.activeElement;
    const field = Object.assign(document.createElement("textarea"), { value: text, className: "sr" });
    document.getElementById("main").append(field);
    field.focus({ preventScroll: true });
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    before?.focus({ preventScroll: true });
    return done;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const quoted = document.getElementById(button.dataset.copy);
    const word = button.firstChild;
    if (await copy(quoted.textContent)) {
      word.data = "Copied";
    } else {
      for (let one = quoted.parentElement; one; one = one.parentElement) if (one.localName === "details") one.open = true;
      getSelection().selectAllChildren(quoted);
      word.data = "Press Ctrl+C";
    }
    clearTimeout(button.timer);
    button.timer = setTimeout(() => { word.data = "Copy"; }, 2000);
  });

  // The clock is that of what is shown; the tab's title and icon stand beside it.
  function readClock(age) {
    const clock = document.getElementById("clock");
    if (!clock) return;
    ahead = new Date(clock.value).valueOf() + 1000 * age - Date.now();
    showTab();
  }

  function showTab() {
    const clock = document.getElementById("clock");
    if (!clock?.dataset.title) return;
    document.title = clock.dataset.title;
    const icon = document.getElementById("icon");
    if (icon.getAttribute("href") !== clock.dataset.icon) icon.setAttribute("href", clock.dataset.icon);
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
  });

  // Alerts: choose many, and say how many.
  function countChosen() {
    const acts = document.querySelector("[data-acts]");
    if (!acts) return;
    const boxes = find('input[name="alert_id"]');
    const chosen = boxes.filter((box) => box.checked).length;
    const problems = find('input[name="cause"]:checked').length;
    const said = [chosen && `${chosen} chosen`, problems && `all of ${problems} ${problems === 1 ? "problem" : "problems"}`];
    document.getElementById("count").textContent = said.filter(Boolean).join(", ");
    const all = document.getElementById("all");
    all.closest("label").hidden = !boxes.length;
    all.checked = boxes.length > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }

  document.addEventListener("change", (event) => {
    if (event.target.id === "all") {
      for (const box of find('input[name="alert_id"]')) box.checked = event.target.checked;
    }
    if (event.target.id === "all" || ["alert_id", "cause"].includes(event.target.name)) countChosen();
    const name = event.target.dataset.kept;
    if (name) {
      kept.set(name, event.target.value);
      for (const input of find(`input[data-kept="${name}"]`)) input.value = event.target.value;
    }
  });
  for (const input of find("input[data-kept]")) input.value ||= kept.get(input.dataset.kept) ?? "";

  // A form's empty fields make an address long and say nothing; its times are of the reader's zone.
  document.addEventListener("submit", (event) => {
    const isAsking = event.target.method === "get";
    const off = isAsking ? find("input, select", event.target).filter((field) => field.value === "") : [];
    const sent = [];
    for (const field of find('input[type="datetime-local"]', event.target)) {
      if (!field.value) continue;
      const instant = Object.assign(document.createElement("input"), { type: "hidden", name: field.name });
      instant.value = new Date(field.value).toISOString().replace(".000", "");
      sent.push(instant);
      off.push(field);
    }
    event.target.append(...sent);
    for (const field of off) field.disabled = true;
    setTimeout(() => {
      for (const field of off) field.disabled = false;
      for (const field of sent) field.remove();
    });
  });
  window.addEventListener("pageshow", countChosen);

  // On a phone the filters stand in the way of what they filter, until they are asked for.
  const isNarrow = matchMedia("(max-width: 760px)");
  for (const form of find("form.filters:not([role=search])")) {
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

  // A calendar is one stop of the keyboard; the arrows go from day to day.
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  for (const days of find(".days")) {
    const links = find("a", days);
    for (const link of links.slice(1)) link.tabIndex = -1;
    days.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const cell = event.target.closest("td");
      let [row, column] = [cell.parentNode.rowIndex, cell.cellIndex];
      let next;
      do {
        [row, column] = [row + step[0], column + step[1]];
        if (!days.rows[row]?.cells[column]) return;
        next = days.rows[row].cells[column].querySelector("a");
      } while (!next);
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }

  // What was unfolded in the timeline is so in another time, too.
  document.addEventListener("toggle", (event) => {
    if (event.target.closest("#timeline")) kept.set(`open.${event.target.id}`, event.target.open ? "true" : "");
  }, true);
  for (const details of find("#timeline details")) details.open = kept.get(`open.${details.id}`) === "true";

  // Live: what the reader has opened, ticked or pointed at stays as it is.
  if (typeof Idiomorph !== "undefined") {
    Object.assign(Idiomorph.defaults.callbacks, {
      beforeAttributeUpdated: (name, node) =>
        !(name === "open" && node.localName === "details") &&
        !(name === "checked"),
      beforeNodeRemoved: (node) => !node.classList?.contains("unfold"),
      beforeNodeMorphed: (before, after) => {
        // What is the same need not be walked through, and most of a page is.
        if (before.isEqualNode(after)) return false;
        // What a chart says of the bar that is pointed at stays said.
        if (before.classList?.contains("pointed")) return false;
        // Filters that are chosen, but not asked for yet, stay chosen.
        if (before.localName === "form" && before.classList.contains("filters")) return false;
        // What changes slowly is not sent again.
        if (after.dataset?.kept === "") return false;
        // The picture of the same runs is the same.
        if (before.dataset?.cells && before.dataset.cells === after.dataset?.cells && before.dataset.to === after.dataset.to) return false;
        // A time that says the same moment needs no new text; its age is kept right here.
        if (before.localName === "time" && before.dateTime === after.dateTime) return false;
        return true;
      },
    });
  }
  const away = document.getElementById("away");

  function refreshed(age = 0) {
    readClock(age);
    localise();
    countChosen();
  }

  // When to look again: once what is shown is as old as its page allows. All tabs that show the
  // same then come together, and the server makes one answer for all. Nobody looks at a hidden tab
  // but at its title: that follows slowly.
  const slowly = 60;
  let tag = document.getElementById("live")?.dataset.tag; // of what is shown
  let isDue = false; // whether the clock asks, and not the reader
  let timer = 0;

  const watch = () => document.getElementById("watch");

  function look(due) {
    if (typeof htmx === "undefined" || !watch()) return;
    isDue = due;
    htmx.trigger(document.body, "refresh");
  }

  function lookLater(age = 0) {
    clearTimeout(timer);
    if (watch()) timer = setTimeout(look, 1000 * (document.hidden ? slowly : Math.max(1, watch().dataset.seconds - age)), true);
  }

  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (tag) detail.headers["If-None-Match"] = tag;
    detail.headers["Cache-Control"] = isDue ? `max-age=${watch().dataset.seconds}` : "no-cache";
    isDue = false;
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) lookLater(); else look(false); });

  const ageOf = (xhr) => Number(xhr?.getResponseHeader("Age") ?? 0);

  function answered() {
    away.hidden = true;
    root.classList.remove("stale");
  }

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    tag = detail?.xhr?.getResponseHeader("ETag");
    answered();
    refreshed(ageOf(detail?.xhr));
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.xhr?.status === 304) {
      answered();
      showTab();
      localise();
    }
    lookLater(ageOf(detail.xhr));
  });
  for (const trouble of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(trouble, () => {
      const clock = document.getElementById("clock");
      away.hidden = false;
      away.textContent = `no answer; as of ${spell(new Date(clock.value), "short")}`;
      root.classList.add("stale");
      if (clock.dataset.title) document.title = `no answer – ${clock.dataset.title}`;
    });
  }
  setInterval(() => { if (!document.hidden) localise(); }, 10000);

  // A page that leads back to itself leaves the reader where they were, by sight and by keyboard.
  const place = "runguard.place";

  function remember(focus) {
    try {
      sessionStorage.setItem(place, JSON.stringify({ path: location.pathname, top: scrollY, focus }));
    } catch { /* a browser that keeps nothing begins at the top */ }
  }

  function goBack() {
    let kept = null;
    try {
      kept = JSON.parse(sessionStorage.getItem(place));
      sessionStorage.removeItem(place);
    } catch { /* see above */ }
    if (kept?.path !== location.pathname) return;
    scrollTo(0, kept.top);
    const target = (kept.focus && document.querySelector(kept.focus)) || document.querySelector(".done:not(:empty)");
    if (!target) return;
    if (target.classList.contains("done")) target.tabIndex = -1;
    target.focus({ preventScroll: true });
  }

  document.addEventListener("submit", (event) => {
    if (event.target.method === "post") remember(event.submitter?.id ? `#${CSS.escape(event.submitter.id)}` : "");
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".choice a, a[data-stay]");
    if (link) remember(link.matches(".choice a") ? `nav[aria-label="${link.closest("nav").ariaLabel}"] a[aria-current]` : "th[aria-sort] a");
  });

  // From a run or an alert, the list is where the reader left it: its filters, its page, its place.
  function keepLists() {
    for (const link of find(".bar nav a")) {
      const list = new URL(link.href).pathname;
      const name = `runguard.list.${list}`;
      if (location.pathname === list) {
        addEventListener("pagehide", () => {
          const search = location.search.replace(/([?&])done=[^&]*&?/, "$1").replace(/[?&]$/, "");
          try { sessionStorage.setItem(name, JSON.stringify({ search, top: scrollY })); } catch { /* see above */ }
        });
      } else if (location.pathname.startsWith(`${list}/`) && !list.endsWith("/")) {
        let kept = null;
        try { kept = JSON.parse(sessionStorage.getItem(name)); } catch { /* see above */ }
        if (!kept) continue;
        link.href = list + kept.search;
        link.addEventListener("click", () => {
          sessionStorage.setItem(place, JSON.stringify({ path: list, top: kept.top, focus: "" }));
        });
      }
    }
  }

  showTheme();
  useZone();
  keepLists();
  refreshed();
  goBack();
  lookLater();
  root.dataset.ready = "true";
})();
