// The page's behaviour. `MPT` comes from data.js: clips (see clips.py), strips, classes, runs.
// Names reach the page as text nodes only. Pictures are never read back: pages opened from disk may not.
"use strict";
(() => {
  const { clips, strips, classes, runs } = window.MPT;
  const $ = (id) => document.getElementById(id);
  const make = (tag, values = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(values)) {
      if (name in element && name !== "style") element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };
  const percent = (value, digits = 0) => `${(100 * value).toFixed(digits)}%`;
  const collator = new Intl.Collator("en", { numeric: true });

  for (const clip of clips) {
    clip.length = clip.fps ? (1000 * (clip.frames - 1)) / clip.fps : 0; // onset to offset, ms
    clip.correct = (clip.predicted || []).map((guess) => guess === clip.truth);
    clip.confidence = clip.probabilities ? Math.max(...clip.probabilities) : 0;
  }

  // ---- list: sorting, filtering, a window of rows -----------------------------------------------------------------
  const columns = [
    { name: "Subject", of: (c) => c.subject, text: true },
    { name: "Clip", of: (c) => c.clip, text: true, link: true },
    { name: "Class", of: (c) => c.label, text: true },
    ...runs.slice(0, 2).map((run, r) => ({ name: runs.length > 1 ? run : "Predicted", of: (c) => classes[c.predicted[r]] || "–", text: true, run: r })),
    ...(runs.length ? [{ name: "Confidence", of: (c) => c.confidence, show: (c) => percent(c.confidence), unit: " sure" }] : []),
    ...(clips.some((c) => c.fps) ? [
      { name: "Length", of: (c) => c.length, show: (c) => `${Math.round(c.length)} ms` },
      { name: "Clipped", of: (c) => c.clipped, show: (c) => percent(c.clipped, 1), unit: " clipped" },
    ] : []), // a report without its caches knows neither
  ];
  const answers = {
    correct: (c) => c.correct[0], wrong: (c) => !c.correct[0],
    first: (c) => c.correct[0] && !c.correct[1], second: (c) => !c.correct[0] && c.correct[1],
    both: (c) => c.correct[0] && c.correct[1], neither: (c) => !c.correct[0] && !c.correct[1],
  };
  const ranges = { confidence: (c) => 100 * c.confidence, length: (c) => c.length, clipped: (c) => 100 * c.clipped };
  const filters = {
    name: (c, value) => c.key.toLowerCase().includes(value.toLowerCase()),
    subject: (c, value) => c.subject === value,
    label: (c, value) => c.label === value,
    predicted: (c, value) => classes[c.predicted[0]] === value,
    answer: (c, value) => answers[value](c),
  };
  for (const [name, of] of Object.entries(ranges)) {
    filters[`${name}-from`] = (c, value) => of(c) >= Number(value) - 1e-9;
    filters[`${name}-to`] = (c, value) => of(c) <= Number(value) + 1e-9;
  }
  const form = $("filters"), list = $("list"), body = list.querySelector("tbody"), head = list.querySelector("thead tr");
  let shown = clips.slice(), order = null, chosen = null;

  const subjects = [...new Set(clips.map((c) => c.subject))].sort(collator.compare);
  form.elements.subject.append(...subjects.map((name) => make("option", { textContent: name })));
  for (const column of columns) {
    const button = make("button", { type: "button", textContent: column.name });
    button.onclick = () => {
      order = { column, down: order?.column === column ? !order.down : !column.text };
      refresh();
    };
    head.append((column.cell = make("th", { scope: "col", className: column.text ? "text" : "" }, button)));
  }

  function refresh() {
    const active = [...new FormData(form)].filter(([name, value]) => value !== "" && filters[name]);
    shown = clips.filter((clip) => active.every(([name, value]) => filters[name](clip, value)));
    if (order) {
      const { of, text } = order.column, sign = order.down ? -1 : 1;
      shown.sort((a, b) => sign * (text ? collator.compare(of(a), of(b)) : of(a) - of(b)));
    }
    for (const column of columns) {
      const sorted = order?.column === column;
      column.cell.setAttribute("aria-sort", sorted ? (order.down ? "descending" : "ascending") : "none");
      column.cell.firstChild.textContent = column.name + (sorted ? (order.down ? " ↓" : " ↑") : "");
    }
    const right = runs.length ? `, ${shown.filter((c) => c.correct[0]).length} of them correct` + (runs.length > 1 ? ` for ${runs[0]}` : "") : "";
    $("count").textContent = `${shown.length} of ${clips.length} clips${right}`;
    list.scrollTop = 0;
    draw();
  }

  const rowHeight = () => parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")) * 16;
  function draw() {
    const height = rowHeight(), first = Math.max(0, Math.floor(list.scrollTop / height) - 10);
    const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / height) + 20);
    const gap = (rows) => make("tr", { className: "gap", style: `height:${rows * height}px`, ariaHidden: "true" }, make("td", { colSpan: columns.length }));
    const focused = document.activeElement?.dataset?.key;
    body.replaceChildren(gap(first), ...shown.slice(first, last).map(row), gap(shown.length - last));
    if (focused !== undefined) body.querySelector(`a[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
  function row(clip) {
    const cells = columns.map((column) => {
      const text = column.show ? column.show(clip) : column.of(clip);
      const cell = make("td", { className: column.text ? "text" : "", "data-unit": column.unit || "", title: column.text ? text : "" });
      if (column.link) cell.append(make("a", { href: address(clip), textContent: text, "data-key": clip.key }));
      else if (column.run !== undefined) cell.append(make("span", { className: clip.correct[column.run] ? "good" : "bad", textContent: `${clip.correct[column.run] ? "✓" : "✗"} ${text}` }));
      else cell.textContent = text;
      return cell;
    });
    const line = make("tr", { ariaSelected: String(clip === chosen) }, ...cells);
    line.onclick = (event) => { event.preventDefault(); choose(clip, { scroll: true }); };
    return line;
  }

  // ---- viewer: one clip moves -------------------------------------------------------------------------------------
  let frame = 0, timer = null;
  const address = (clip) => "#" + clip.key.split("/").map(encodeURIComponent).join("/");
  const moving = ["plain", "under", "over"].map($);
  for (const image of moving) image.style.width = `${100 * strips.columns}%`;
  $("frame").max = strips.frames - 1;

  function choose(clip, { scroll = false, link = true } = {}) {
    chosen = clip;
    if (link) history.replaceState(null, "", address(clip));
    const kinds = clip.strips || {};
    $("viewer").hidden = false;
    $("key").textContent = clip.key;
    $("link").href = address(clip);
    $("facts").textContent = clip.label + (clip.fps ? ` · ${clip.frames} frames at ${clip.fps} per second, ${Math.round(clip.length)} ms · ${percent(clip.clipped, 1)} of values clipped` : "");
    $("stage").hidden = !kinds.m;
    $("controls").hidden = !kinds.m && !clip.mu;
    for (const id of ["alpha", "view", "layer"]) $(id).closest(".row").hidden = !kinds.m;
    $("left").hidden = !kinds.o && !kinds.f;
    $("stage").classList.toggle("single", $("left").hidden);
    for (const id of ["plain", "under"]) $(id).style.width = kinds.o ? `${100 * strips.columns}%` : "100%"; // f is one frame
    $("view").disabled = !kinds.e;
    if (!kinds.e) $("view").value = "m";
    const layers = { "": "none", ...(kinds.d && { dynamic: "dynamic image" }), ...Object.fromEntries(Object.keys(clip.heat || {}).map((name) => [name, `Grad-CAM: ${name}`])) };
    const layer = $("layer").value in layers ? $("layer").value : "";
    $("layer").replaceChildren(...Object.entries(layers).map(([value, textContent]) => make("option", { value, textContent })));
    $("layer").value = layer;
    pictures();
    probabilities();
    kernels();
    show(0);
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play(true);
    const at = shown.indexOf(clip), height = rowHeight(), top = at * height;
    if (at >= 0 && (top < list.scrollTop || top + 2 * height > list.scrollTop + list.clientHeight - 40)) list.scrollTop = top - list.clientHeight / 2;
    draw();
    if (scroll && innerWidth <= 960) $("viewer").scrollIntoView({ block: "start" });
  }

  function pictures() {
    const kinds = chosen.strips || {}, eye = $("view").value === "e";
    if (!kinds.m) return;
    const set = (id, source) => { if (source && $(id).src !== new URL(source, location.href).href) $(id).src = source; };
    const face = kinds.o || kinds.f, fades = kinds.o || (eye && kinds.f);
    set("plain", face); set("under", face); set("over", eye ? kinds.e : kinds.m);
    $("under").hidden = $("alpha").disabled = !fades;
    if (!fades) $("alpha").value = 1;
    const layer = $("layer").value, heat = chosen.heat?.[layer];
    $("dynamic").hidden = layer !== "dynamic";
    if (layer === "dynamic") set("dynamic", kinds.d);
    $("heat").hidden = !heat;
    if (heat) paint(heat);
    mix();
  }

  // x̃(α′) = (1−r)·x + r·x̃ with r = α′/α: up to r = 1 the opacity of one picture over the other. Beyond, a cross-fade
  // over the inverted original, r/(2r−1), whose contrast is raised by 2r−1: again exactly r·x̃ − (r−1)·x.
  function mix() {
    const r = Number($("alpha").value), eye = $("view").value === "e", alpha = eye ? chosen.eye : strips.alpha, beyond = r > 1;
    $("over").style.opacity = beyond ? r / (2 * r - 1) : r;
    $("under").style.filter = [eye && "grayscale(1)", beyond && "invert(1)"].filter(Boolean).join(" ");
    $("stack").style.filter = beyond ? `contrast(${2 * r - 1})` : "";
    $("alpha-text").textContent = `${(r * alpha).toFixed(1)}` + (r === 1 ? (eye ? " (for the eye)" : " (as cached)") : "");
    $("left-text").textContent = chosen.why ? "Onset frame" : `Original, recovered from the cache (± ${chosen.error} grey levels)`;
    $("right-text").textContent = eye ? `For the eye: ${chosen.why ? "onset frame and its motion, in " : ""}luminance, middle scales, α = ${(r * alpha).toFixed(1)}` : `Magnified, α = ${(r * alpha).toFixed(1)}` + (r === 1 ? ", as the network sees it" : "");
    $("honest").textContent = chosen.why ? `No moving original: ${chosen.why}.`
      : (chosen.clipped > 0.0005 ? `${percent(chosen.clipped, 1)} of the values were cut to 0–255 in the cache. There the original and every other α are approximate. ` : "") + (beyond ? "Beyond the α of the cache the picture is extrapolated." : "");
  }

  function show(number) {
    frame = (number + strips.frames) % strips.frames;
    const x = frame % strips.columns, y = Math.floor(frame / strips.columns);
    for (const image of moving) image.style.transform = image.id !== "over" && chosen?.why ? "" : `translate(${(-100 * x) / strips.columns}%, ${(-100 * y) / strips.rows}%)`;
    $("frame").value = frame;
    const time = strips.frames > 1 ? (chosen.length * frame) / (strips.frames - 1) : 0;
    $("time").textContent = `${frame + 1} of ${strips.frames}, ${Math.round(time)} ms`;
    $("cursor")?.setAttribute("transform", `translate(${across(frame)} 0)`);
  }

  function play(on) {
    clearInterval(timer);
    const speed = Number($("speed").value) || (1000 * (strips.frames - 1)) / (chosen.length || 1000);
    timer = on ? setInterval(() => show(frame + 1), 1000 / speed) : null;
    $("play").textContent = on ? "Pause" : "Play";
  }

  function probabilities() {
    const box = $("answer");
    box.replaceChildren();
    if (!chosen.probabilities) return;
    runs.forEach((run, r) => {
      const word = chosen.correct[r] ? "correct" : "wrong";
      box.append(make("p", { className: chosen.correct[r] ? "good" : "bad", textContent: `${chosen.correct[r] ? "✓" : "✗"} ${run}: ${classes[chosen.predicted[r]]}, ${word}` }));
    });
    const bars = make("div", { className: "bars" });
    classes.forEach((name, c) => {
      const fill = make("span", { style: `width:${100 * chosen.probabilities[c]}%;background:var(${c === chosen.truth ? "--c2" : c === chosen.predicted[0] ? "--c5" : "--c6"})` });
      const track = make("span", { className: "strips" }, make("span", { className: "track" }, fill), make("span", { textContent: percent(chosen.probabilities[c]) }));
      bars.append(make("div", {}, make("span", { textContent: name + (c === chosen.truth ? " (true)" : "") }), track));
    });
    box.append(bars);
  }

  const across = (t) => 8 + (t * 344) / Math.max(strips.frames - 1, 1);
  function kernels() {
    const box = $("moments");
    box.hidden = !chosen.mu;
    if (!chosen.mu) return;
    const times = [...Array(strips.frames).keys()];
    const curves = chosen.mu.map((mu, k) => {
      const heights = times.map((t) => Math.exp(-0.5 * ((t - mu) / chosen.sigma[k]) ** 2)), sum = heights.reduce((a, b) => a + b, 0) || 1;
      return heights.map((height) => height / sum);
    });
    const top = Math.max(...curves.flat(), 1e-9);
    const lines = curves.map((curve, k) => `<polyline fill="none" stroke="var(--c${k % 8})" stroke-width="1.8" points="${curve.map((v, t) => `${across(t).toFixed(1)},${(92 - (84 * v) / top).toFixed(1)}`).join(" ")}"><title>prompt ${k + 1}: centre ${chosen.mu[k].toFixed(1)}, width ${chosen.sigma[k].toFixed(1)} frames</title></polyline>`);
    // Only numbers are written into this markup.
    box.innerHTML = `<svg viewBox="0 0 360 110" role="img" aria-label="Temporal kernels of this clip"><path class="axis" d="M8 93H352"/>${lines.join("")}<path id="cursor" d="M0 4V93" stroke="var(--ink)" stroke-dasharray="3 3"/><text x="8" y="106">onset</text><text x="352" y="106" text-anchor="end">offset</text></svg><figcaption>Temporal kernels of this clip: when each motion prompt looks.</figcaption>`;
  }

  function paint([rows, columnsOfMap, base64]) { // Grad-CAM, 8 bits per cell, in the colours of black-body radiation
    const canvas = $("heat"), values = atob(base64), context = canvas.getContext("2d");
    canvas.width = columnsOfMap; canvas.height = rows;
    const image = context.createImageData(columnsOfMap, rows);
    for (let i = 0; i < values.length; i++) {
      const heat = values.charCodeAt(i) / 255;
      image.data.set([Math.min(1, heat * 2.2) * 255, Math.max(0, heat * 2 - 0.8) * 200, Math.max(0, heat * 5 - 4) * 255, 60 + heat * 195], 4 * i);
    }
    context.putImageData(image, 0, 0);
  }

  // ---- events -----------------------------------------------------------------------------------------------------
  form.addEventListener("input", refresh);
  form.addEventListener("reset", () => setTimeout(refresh));
  form.addEventListener("submit", (event) => event.preventDefault());
  list.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  addEventListener("resize", draw);
  $("frame").oninput = () => { play(false); show(Number($("frame").value)); };
  $("alpha").oninput = mix;
  $("view").onchange = $("layer").onchange = pictures;
  $("speed").onchange = () => play(timer !== null);
  $("play").onclick = () => play(timer === null);
  $("back").onclick = () => { play(false); show(frame - 1); };
  $("next").onclick = () => { play(false); show(frame + 1); };
  document.addEventListener("keydown", (event) => {
    const box = $("explorer").getBoundingClientRect(), seen = box.top < innerHeight / 2 && box.bottom > innerHeight / 2;
    const target = event.target, inside = $("explorer").contains(target) || (target === document.body && seen);
    if (!inside || event.ctrlKey || event.metaKey || event.altKey || target.matches("input, select, textarea")) return;
    if (event.key === " " && target.matches("button, a, summary")) return;
    const steps = { ArrowUp: -1, ArrowDown: 1 }, frames = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key in steps && shown.length) choose(shown[Math.min(Math.max(shown.indexOf(chosen) + steps[event.key], 0), shown.length - 1)]);
    else if (event.key in frames && chosen) { play(false); show(frame + frames[event.key]); }
    else if (event.key === " " && chosen) play(timer === null);
    else return;
    event.preventDefault();
  });
  function follow() { // #sub01/EP02_01f is a clip, #?label=happiness a filter, anything else a place on the page
    const text = location.hash.slice(1);
    if (text.startsWith("?")) {
      form.reset();
      for (const [name, value] of new URLSearchParams(text.slice(1))) if (form.elements[name]) form.elements[name].value = value;
      refresh();
      $("clips").scrollIntoView();
    } else if (text.includes("/")) {
      let key = text;
      try { key = text.split("/").map(decodeURIComponent).join("/"); } catch { /* not ours */ }
      const clip = clips.find((c) => c.key === key);
      if (clip) { if (!shown.includes(clip)) form.reset(), refresh(); choose(clip, { scroll: true }); }
    }
  }
  addEventListener("hashchange", follow);
  refresh();
  follow();
  if (!chosen && clips.length) choose(shown[0] || clips[0], { link: false });
})();
