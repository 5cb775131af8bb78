// Makes the picture of a graph react: zoom, pan, neighbourhoods, and the sentences behind an edge.
// Edges are on a canvas, because there may be thousands; circles, names and what is under the pointer are SVG.
const LABELS = 40, MOST_LABELS = 130, PANEL = 310, BAR = 26;

upgrade("FIGURE_ID", start);

function start(data) {
  const nodes = data.nodes.map((row, id) => ({
    id, name: row[0], x: row[1], y: row[2], r: row[3], degree: row[4], mentions: row[5], community: row[6],
    aliases: row[7], colour: data.colours[min(row[6], data.colours.length - 1)], edges: [], seat: 0,
  }));
  const edges = data.edges.map((row, id) => ({
    id, from: nodes[row[0]], to: nodes[row[1]], predicate: row[2], count: row[3], bend: row[4] / 100, sources: row[5],
    weight: min(3, Math.floor(Math.log2(max(1, row[3])))),
  }));
  edges.forEach((edge) => { edge.from.edges.push(edge); edge.to.edges.push(edge); });
  const order = nodes.slice().sort((a, b) => b.degree - a.degree || b.mentions - a.mentions || a.id - b.id);
  const buckets = new Map();
  edges.forEach((edge) => {
    const key = edge.from.colour + edge.weight;
    if (!buckets.has(key)) buckets.set(key, []);
    buckets.get(key).push(edge);
  });

  const box = make("div", "live"), canvas = make("canvas"), ink = canvas.getContext("2d");
  const svg = draw("svg", { tabindex: 0, role: "application", "aria-label": data.title });
  const hi = draw("g", { class: "mlk8s-hi" }), dots = draw("g", { "stroke-width": data.rim }), names = draw("g", {});
  const panel = panelOf(data, choose, point), search = searchOf(order, go);
  const tip = make("div", "tip"), hint = make("div", "hint", "drag to move · click, then scroll to zoom · double-click to go near");
  box.setAttribute("data-lm-suppress-shortcuts", "true");
  tip.hidden = true;
  order.slice().reverse().forEach((node) => {
    node.dot = dots.appendChild(draw("circle", { fill: node.colour }));
  });
  svg.append(hi, dots, names);
  const bar = make("div", "bar");
  bar.append(search.element, button("−", "Zoom out", () => zoom(1 / 1.4)), button("+", "Zoom in", () => zoom(1.4)));
  bar.append(button("Reset", "Show everything", reset));
  box.append(canvas, svg, hint, bar, panel.element, tip);

  let W = 0, H = 0, fit = 1, view = { k: 1, x: 0, y: 0 }, chosen = null, hover = null, frame = 0, flight = 0, awake = false;
  const sx = (node) => node.x * view.k + view.x, sy = (node) => node.y * view.k + view.y;
  const size = (node) => node.r * Math.sqrt(view.k * fit);

  const narrow = () => W < 620;
  const flag = (name, up) => box.classList.toggle("mlk8s-" + name, !!up);

  // ---- drawing ----
  function soon() {
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; render(); });
  }
  function curve(edge) {
    const x1 = sx(edge.from), y1 = sy(edge.from), x2 = sx(edge.to), y2 = sy(edge.to);
    return [x1, y1, (x1 + x2) / 2 + (y2 - y1) * edge.bend, (y1 + y2) / 2 - (x2 - x1) * edge.bend, x2, y2];
  }
  function at(c, t) {
    const u = 1 - t;
    return [u * u * c[0] + 2 * u * t * c[2] + t * t * c[4], u * u * c[1] + 2 * u * t * c[3] + t * t * c[5]];
  }
  function render() {
    if (!W) return;
    const focus = hover || chosen, near = focus ? around(focus) : null;
    flag("dim", focus);
    lines();
    for (const node of nodes) {
      const name = (near && near.has(node) ? "mlk8s-lit" : "") + (chosen === node ? " mlk8s-chosen" : "");
      set(node.dot, { cx: tenth(sx(node)), cy: tenth(sy(node)), r: tenth(size(node)), class: name });
    }
    hi.replaceChildren();
    if (focus) (focus.dot ? focus.edges.slice(0, 500) : [focus]).forEach(arrow);
    labels(focus, near);
  }
  function lines() {
    const dpr = window.devicePixelRatio || 1, wide = Math.round(W * dpr), high = Math.round(H * dpr);
    if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
    ink.setTransform(dpr, 0, 0, dpr, 0, 0);
    ink.clearRect(0, 0, W, H);
    ink.globalAlpha = data.ink;
    buckets.forEach((bucket) => {
      ink.strokeStyle = bucket[0].from.colour;
      ink.lineWidth = 0.9 + 0.55 * bucket[0].weight;
      ink.beginPath();
      for (const edge of bucket) {
        const c = curve(edge);
        if (outside(c, 0, W) || outside(c, 1, H)) continue;
        ink.moveTo(c[0], c[1]);
        ink.quadraticCurveTo(c[2], c[3], c[4], c[5]);
      }
      ink.stroke();
    });
  }
  function outside(c, axis, most) {
    const a = c[axis], b = c[axis + 4];
    return max(a, b) < -60 || min(a, b) > most + 60;
  }
  function arrow(edge) {
    const c = curve(edge), stop = size(edge.to) + 1.5;
    let low = 0, high = 1;
    for (let i = 0; i < 12; i++) {
      const t = (low + high) / 2, p = at(c, t);
      if (hypot(p[0] - c[4], p[1] - c[5]) > stop) low = t; else high = t;
    }
    const tip = at(c, low), back = at(c, max(0, low - 0.02));
    const a = Math.atan2(tip[1] - back[1], tip[0] - back[0]), n = tenth;
    const wing = (turn) => n(tip[0] - 8 * Math.cos(a + turn)) + " " + n(tip[1] - 8 * Math.sin(a + turn));
    hi.append(
      draw("path", { d: "M" + c.slice(0, 2).map(n) + "Q" + c.slice(2).map(n), fill: "none", stroke: edge.from.colour, "stroke-width": 1.3 + 0.6 * edge.weight, "stroke-opacity": 0.85 }),
      draw("path", { d: "M" + n(tip[0]) + " " + n(tip[1]) + "L" + wing(0.42) + "L" + wing(-0.42) + "Z", fill: edge.from.colour }),
    );
  }
  function labels(focus, near) {
    const from = near ? order.filter((node) => near.has(node)) : order;
    const most = near ? MOST_LABELS : min(MOST_LABELS, LABELS * Math.pow(view.k / fit, 0.8) * min(1.4, W * H / 480000));
    if (focus && focus.dot) from.unshift(focus);
    const taken = [], shown = new Set(), room = free()[0];
    for (const node of from) {
      if (taken.length >= most) break;
      const x = sx(node), y = sy(node), r = size(node);
      if (shown.has(node) || x < -20 || y < -20 || x > W + 20 || y > H + 20) continue;
      const must = focus === node || taken.length < 12, px = max(10.5, min(16, 9.8 + r * 0.28));
      if (!node.text) name(node);
      const wide = node.em * px, high = px * 1.2;
      const seats = [[r + 3, -high / 2], [-r - 3 - wide, -high / 2], [-wide / 2, -r - 2 - high], [-wide / 2, r + 2]];
      let best = null, least = must ? Infinity : 1;
      seats.forEach((seat, i) => {
        const left = x + seat[0], top = y + seat[1], rect = [left, top, left + wide, top + high];
        if (taken.some((o) => rect[0] < o[2] + 4 && o[0] < rect[2] + 4 && rect[1] < o[3] && o[1] < rect[3])) return;
        const cost = (nodes.length < 900 ? covered(rect, node, near) : 0) + (left < 2 || rect[2] > room ? 9 : 0) - (node.seat === i ? 0.2 : 0);
        if (cost < least) { least = cost; best = rect; node.seat = i; }
      });
      if (!best) continue;
      taken.push(best);
      shown.add(node);
      set(node.text, {
        x: tenth([best[0], best[2], x, x][node.seat]), y: tenth(best[1] + px * 0.94), "font-size": tenth(px),
        "text-anchor": ["start", "end", "middle", "middle"][node.seat], "font-weight": node === focus || r > 12 ? 600 : 400,
      });
    }
    nodes.forEach((node) => { if (node.text) node.text.style.display = shown.has(node) ? "" : "none"; });
  }
  function name(node) {
    node.text = names.appendChild(draw("text", {}));
    node.text.textContent = short(node.name, 36);
    ink.font = "600 20px " + getComputedStyle(box).fontFamily;
    node.em = ink.measureText(node.text.textContent).width / 20;
  }
  function covered(rect, own, near) {
    let sum = 0;
    for (const node of near || nodes) {
      const x = sx(node), y = sy(node);
      const dx = x - max(rect[0], min(rect[2], x)), dy = y - max(rect[1], min(rect[3], y));
      const inside = size(node) - hypot(dx, dy);
      if (node !== own && inside > 0.5) sum += 1 + inside * size(node) * 0.2;
    }
    return sum;
  }
  function around(item) {
    if (!item.dot) return new Set([item.from, item.to]);
    const near = new Set([item]);
    item.edges.forEach((edge) => near.add(edge.from).add(edge.to));
    return near;
  }

  // ---- moving ----
  function whole() {
    const k = min(W / data.width, (H - BAR) / data.height);
    return { k, x: (W - data.width * k) / 2, y: BAR + (H - BAR - data.height * k) / 2 };
  }
  function fly(to) {
    cancelAnimationFrame(flight);
    const from = view, begin = performance.now(), calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const step = (now) => {
      const t = calm ? 1 : max(0, min(1, (now - begin) / 380)), e = 1 - Math.pow(1 - t, 3);
      view = { k: from.k + (to.k - from.k) * e, x: from.x + (to.x - from.x) * e, y: from.y + (to.y - from.y) * e };
      render();
      if (t < 1) flight = requestAnimationFrame(step);
    };
    step(begin);
  }
  function zoomed(factor, x, y) {
    const k = max(fit * 0.5, min(fit * 24, view.k * factor)), f = k / view.k;
    return { k, x: x - (x - view.x) * f, y: y - (y - view.y) * f };
  }
  function zoom(factor) { fly(zoomed(factor, free()[0] / 2, H / 2)); }
  function free() {
    if (panel.element.hidden) return [W, H];
    return narrow() ? [W, H * 0.54] : [W - PANEL, H];
  }
  function reset() { choose(null); search.clear(); fly(whole()); }
  function frameOf(items) {
    const pad = 70, room = free(), xs = items.map((n) => n.x), ys = items.map((n) => n.y);
    const l = min(...xs), r = max(...xs), t = min(...ys), b = max(...ys);
    const k = max(fit * 0.7, min(fit * 5, (room[0] - 2 * pad) / max(1, r - l), (room[1] - 2 * pad) / max(1, b - t)));
    return { k, x: room[0] / 2 - (l + r) / 2 * k, y: room[1] / 2 - (t + b) / 2 * k };
  }
  function visible(node) {
    const room = free(), x = sx(node), y = sy(node);
    if (x < 30 || y < 50 || x > room[0] - 40 || y > room[1] - 30) fly({ k: view.k, x: view.x + room[0] / 2 - x, y: view.y + room[1] / 2 - y });
  }

  // ---- choosing ----
  function choose(item) {
    chosen = item;
    hover = null;
    tip.hidden = true;
    hint.hidden = true;
    panel.show(item);
    if (item) visible(item.dot ? item : item.to);
    soon();
  }
  function go(node) {
    choose(node);
    fly(frameOf([...around(node)]));
  }
  function point(item) {
    if (item === hover) return;
    hover = item;
    soon();
  }

  // ---- pointing ----
  const fingers = new Map();
  let moved = 0, spread = 0;
  function place(event) {
    const rect = svg.getBoundingClientRect();
    return [event.clientX - rect.left, event.clientY - rect.top];
  }
  function pinch() {
    const [a, b] = fingers.values();
    return b ? hypot(a[0] - b[0], a[1] - b[1]) : 0;
  }
  function hit(p) {
    let best = null, least = Infinity;
    for (const node of nodes) {
      const d = hypot(sx(node) - p[0], sy(node) - p[1]) - max(5, size(node));
      if (d < 2 && d < least) { least = d; best = node; }
    }
    if (best || edges.length > 6000) return best;
    least = 5;
    for (const edge of edges) {
      const c = curve(edge), slack = 8 + Math.abs(edge.bend) * hypot(c[4] - c[0], c[5] - c[1]);
      if ([0, 1].some((i) => p[i] < min(c[i], c[i + 4]) - slack || p[i] > max(c[i], c[i + 4]) + slack)) continue;
      let last = [c[0], c[1]];
      for (let i = 1; i <= 14; i++) {
        const q = at(c, i / 14), dx = q[0] - last[0], dy = q[1] - last[1];
        const t = max(0, min(1, ((p[0] - last[0]) * dx + (p[1] - last[1]) * dy) / (dx * dx + dy * dy || 1)));
        const d = hypot(last[0] + t * dx - p[0], last[1] + t * dy - p[1]);
        if (d < least) { least = d; best = edge; }
        last = q;
      }
    }
    return best;
  }
  function hovering(event) {
    const p = place(event), item = hit(p);
    point(item);
    flag("over", item);
    tip.hidden = !item;
    if (!item) return;
    tip.textContent = item.dot ? item.name + " · " + (data.plain ? plural(item.degree, "edge", "edges") : plural(item.degree, "relation", "relations")) : item.predicate;
    const x = p[0] + 14 + tip.offsetWidth > W ? p[0] - 10 - tip.offsetWidth : p[0] + 14;
    tip.style.transform = "translate(" + max(2, x) + "px," + min(H - tip.offsetHeight - 2, p[1] + 16) + "px)";
  }
  on(svg, "pointerdown", (event) => {
    cancelAnimationFrame(flight);
    fingers.set(event.pointerId, place(event));
    moved = 0;
    awake = true;
    svg.focus({ preventScroll: true });
    spread = pinch();
  });
  on(svg, "pointermove", (event) => {
    const last = fingers.get(event.pointerId), p = place(event);
    if (!last) return hovering(event);
    const dx = p[0] - last[0], dy = p[1] - last[1];
    moved += hypot(dx, dy);
    if (moved < 4) return;
    if (!svg.hasPointerCapture(event.pointerId)) svg.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, p);
    flag("drag", true);
    tip.hidden = true;
    if (fingers.size === 2) {
      const [a, b] = fingers.values(), now = pinch();
      view = zoomed(now / (spread || now || 1), (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      spread = now;
    } else view = { k: view.k, x: view.x + dx, y: view.y + dy };
    soon();
  });
  on(svg, "pointerup", (event) => {
    if (fingers.delete(event.pointerId) && moved < 4) choose(hit(place(event)));
    flag("drag", false);
  });
  on(svg, "pointercancel", (event) => { fingers.delete(event.pointerId); flag("drag", false); });
  on(svg, "pointerleave", () => { point(null); tip.hidden = true; });
  on(box, "pointerleave", () => { awake = false; });
  on(svg, "dblclick", (event) => {
    event.preventDefault();
    const item = hit(place(event));
    fly(item ? frameOf([...around(item)]) : zoomed(1.8, ...place(event)));
  });
  on(svg, "wheel", (event) => {
    if (!awake && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    cancelAnimationFrame(flight);
    view = zoomed(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : event.ctrlKey ? 0.01 : 0.0022)), ...place(event));
    soon();
  }, { passive: false });
  on(svg, "keydown", (event) => {
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (step) fly({ k: view.k, x: view.x + step[0], y: view.y + step[1] });
    else if (event.key === "+" || event.key === "=") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else if (event.key === "Enter") chosen ? fly(frameOf([...around(chosen)])) : search.focus();
    else return;
    event.preventDefault();
  });
  on(box, "keydown", (event) => {
    if (event.key !== "Escape") return;
    if (chosen) choose(null);
    else fly(whole());
    event.preventDefault();
    event.stopPropagation();
  });

  function measure() {
    const wide = box.clientWidth, high = box.clientHeight;
    if (!wide || !high || (wide === W && high === H)) return;
    const first = !W, untouched = first || (Math.abs(view.k - fit) < 1e-6 && !chosen);
    const old = [W, H];
    W = wide;
    H = high;
    fit = whole().k;
    if (untouched) view = whole();
    else view = { k: view.k, x: view.x + (W - old[0]) / 2, y: view.y + (H - old[1]) / 2 };
    flag("narrow", narrow());
    if (first) render(); else soon();
  }
  return {
    box,
    begin() {
      measure();
      new ResizeObserver(() => requestAnimationFrame(measure)).observe(box);
    },
  };
}
