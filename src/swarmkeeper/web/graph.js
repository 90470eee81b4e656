import { el, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./runtime.js";
import { ranksOf, Glyph, lookOfItem, safe } from "./app.js";
// src/graph.tsx

// src/layout.ts
var SIZES = { width: 168, height: 44, gapX: 56, gapY: 14 };
var BEND_HEIGHT = 8;
var BEND_WEIGHT = 8;
var SWEEPS = 8;
var BENDS_MAX = 4e3;
var EXCHANGES_MAX = 12e4;
function crossings(order, next, place) {
  let sum = 0;
  for (let rank = 0; rank + 1 < order.length; rank++) {
    const width = order[rank + 1].length;
    const tree = new Int32Array(width + 1);
    let seen = 0;
    for (const node of order[rank]) {
      const ends = next[node];
      for (const end of ends) {
        let notAfter = 0;
        for (let at = place[end] + 1; at > 0; at -= at & -at) notAfter += tree[at];
        sum += seen - notAfter;
      }
      for (const end of ends) for (let at = place[end] + 1; at <= width; at += at & -at) tree[at]++;
      seen += ends.length;
    }
  }
  return sum;
}
function layout(ids, edges, sizes = SIZES, earlier) {
  const number = new Map(ids.map((id, index) => [id, index]));
  const known = [];
  for (const [from, to] of edges) {
    const a = number.get(from), b = number.get(to);
    if (a !== void 0 && b !== void 0 && a !== b) known.push([a, b]);
  }
  const rank = Array.from(ranksOf(ids.length, known));
  const order = Array.from({ length: Math.max(0, ...rank) + (ids.length ? 1 : 0) }, () => []);
  for (let node = 0; node < ids.length; node++) order[rank[node]].push(node);
  const held = /* @__PURE__ */ new Map();
  if (earlier) {
    ids.forEach((id, node) => {
      if (earlier.at.has(id)) held.set(node, earlier.at.get(id).y);
    });
    for (const row of order) row.sort((a, b) => (held.get(a) ?? 1e9) - (held.get(b) ?? 1e9));
  }
  const { chains, next, before } = withBends(known, rank, order);
  sort(order, next, before, rank.length, held);
  const middle = heights(order, next, before, ids.length, rank.length, sizes);
  let top = Infinity, bottom = -Infinity;
  for (let node = 0; node < ids.length; node++) {
    top = Math.min(top, middle[node] - sizes.height / 2);
    bottom = Math.max(bottom, middle[node] + sizes.height / 2);
  }
  for (let node = ids.length; node < rank.length; node++) {
    top = Math.min(top, middle[node]);
    bottom = Math.max(bottom, middle[node]);
  }
  const x = (node) => rank[node] * (sizes.width + sizes.gapX);
  const at = /* @__PURE__ */ new Map();
  ids.forEach((id, node) => at.set(id, { x: x(node), y: middle[node] - sizes.height / 2 - top }));
  return {
    at,
    edges: chains.map((chain) => {
      const from = chain[0], to = chain[chain.length - 1];
      const points = [{ x: x(from) + sizes.width, y: middle[from] - top }];
      for (const bend of chain.slice(1, -1)) {
        points.push({ x: x(bend), y: middle[bend] - top }, { x: x(bend) + sizes.width, y: middle[bend] - top });
      }
      points.push({ x: x(to), y: middle[to] - top });
      return { from: ids[from], to: ids[to], points };
    }),
    ranks: order.map((row) => row.filter((node) => node < ids.length).map((node) => ids[node])),
    width: ids.length ? order.length * (sizes.width + sizes.gapX) - sizes.gapX : 0,
    height: ids.length ? bottom - top : 0
  };
}
function withBends(edges, rank, order) {
  let bends = 0;
  for (const [from, to] of edges) bends += Math.max(0, rank[to] - rank[from] - 1);
  const cuts = bends <= BENDS_MAX;
  const chains = [];
  const next = rank.map(() => []);
  const before = rank.map(() => []);
  const link = (a, b) => {
    next[a].push(b);
    before[b].push(a);
  };
  for (const [from, to] of edges) {
    const chain = [from];
    if (cuts) {
      for (let between = rank[from] + 1; between < rank[to]; between++) {
        const bend = rank.length;
        rank.push(between);
        next.push([]);
        before.push([]);
        order[between].push(bend);
        link(chain[chain.length - 1], bend);
        chain.push(bend);
      }
    }
    if (cuts || rank[to] === rank[from] + 1) link(chain[chain.length - 1], to);
    chain.push(to);
    chains.push(chain);
  }
  return { chains, next, before };
}
function sort(order, next, before, count, held) {
  const place = new Int32Array(count);
  const number = (row) => row.forEach((node, index) => {
    place[node] = index;
  });
  order.forEach(number);
  let best = order.map((row) => [...row]);
  let fewest = crossings(order, next, place);
  let budget = EXCHANGES_MAX;
  const wanted = new Float64Array(count);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    const forth = sweep % 2 === 0;
    const neighbours = forth ? before : next;
    for (let step = 1; step < order.length; step++) {
      const row = order[forth ? step : order.length - 1 - step];
      for (const node of row) {
        const near = neighbours[node];
        let sum = 0;
        for (const other of near) sum += place[other];
        wanted[node] = near.length ? sum / near.length : place[node];
      }
      row.sort((a, b) => wanted[a] - wanted[b] || place[a] - place[b]);
      if (held.size) {
        const kept = row.filter((node) => held.has(node)).sort((a, b) => held.get(a) - held.get(b));
        let turn = 0;
        row.forEach((node, at) => {
          if (held.has(node)) row[at] = kept[turn++];
        });
      }
      number(row);
    }
    if (sweep >= SWEEPS / 2 - 1) budget = exchange(order, next, before, place, budget, held);
    const now = crossings(order, next, place);
    if (now < fewest) {
      fewest = now;
      best = order.map((row) => [...row]);
    }
  }
  best.forEach((row, rank) => {
    order[rank] = row;
  });
}
function exchange(order, next, before, place, budget, held) {
  for (let again = true; again && budget > 0; ) {
    again = false;
    for (const row of order) {
      for (let at = 0; at + 1 < row.length && budget > 0; at++) {
        const a = row[at], b = row[at + 1];
        if (held.has(a) && held.has(b)) continue;
        budget -= 1 + next[a].length * next[b].length + before[a].length * before[b].length;
        if (gain(next[a], next[b], place) + gain(before[a], before[b], place) > 0) {
          row[at] = b;
          row[at + 1] = a;
          place[b] = at;
          place[a] = at + 1;
          again = true;
        }
      }
    }
  }
  return budget;
}
function gain(ofUpper, ofLower, place) {
  let lost = 0;
  for (const a of ofUpper) for (const b of ofLower) lost += Math.sign(place[a] - place[b]);
  return lost;
}
function heights(order, next, before, nodes, count, sizes) {
  const tall = (node) => node < nodes ? sizes.height : BEND_HEIGHT;
  const middle = new Float64Array(count);
  const offsets = order.map((row) => {
    const offset = new Float64Array(row.length);
    for (let at = 1; at < row.length; at++) {
      offset[at] = offset[at - 1] + (tall(row[at - 1]) + tall(row[at])) / 2 + sizes.gapY;
    }
    return offset;
  });
  order.forEach((row, rank) => {
    const offset = offsets[rank];
    const half = row.length ? offset[row.length - 1] / 2 : 0;
    row.forEach((node, at) => {
      middle[node] = offset[at] - half;
    });
  });
  for (let sweep = 0; sweep < SWEEPS + 2; sweep++) {
    const forth = sweep % 2 === 0;
    for (let step = 0; step < order.length; step++) {
      const rank = forth ? step : order.length - 1 - step;
      const row = order[rank], offset = offsets[rank];
      const last = sweep >= SWEEPS;
      const wanted = row.map((node) => {
        const near = last ? [...before[node], ...next[node]] : (forth ? before : next)[node];
        return near.length ? median(near, middle) : middle[node];
      });
      const weight = row.map((node) => node < nodes ? 1 : BEND_WEIGHT);
      pooled(wanted, weight, offset).forEach((height, at) => {
        middle[row[at]] = height;
      });
    }
  }
  return middle;
}
function median(near, middle) {
  const first = middle[near[0]];
  if (near.length === 1) return first;
  if (near.length === 2) return (first + middle[near[1]]) / 2;
  const sorted = near.map((node) => middle[node]).sort((a, b) => a - b);
  return (sorted[sorted.length - 1 >> 1] + sorted[sorted.length >> 1]) / 2;
}
function pooled(wanted, weight, offset) {
  const sums = [], weights = [], counts = [];
  for (let at = 0; at < wanted.length; at++) {
    sums.push((wanted[at] - offset[at]) * weight[at]);
    weights.push(weight[at]);
    counts.push(1);
    for (let end = sums.length - 1; end > 0 && sums[end - 1] / weights[end - 1] > sums[end] / weights[end]; end--) {
      sums[end - 1] += sums.pop();
      weights[end - 1] += weights.pop();
      counts[end - 1] += counts.pop();
    }
  }
  const heights2 = [];
  sums.forEach((sum, block) => {
    for (let n = counts[block]; n > 0; n--) heights2.push(sum / weights[block] + offset[heights2.length]);
  });
  return heights2;
}
function curve(points) {
  let path = `M${round(points[0].x)} ${round(points[0].y)}`;
  for (let at = 1; at < points.length; at++) {
    const a = points[at - 1], b = points[at], half = (a.x + b.x) / 2;
    path += a.y === b.y ? `L${round(b.x)} ${round(b.y)}` : `C${round(half)} ${round(a.y)} ${round(half)} ${round(b.y)} ${round(b.x)} ${round(b.y)}`;
  }
  return path;
}
var round = (value) => Math.round(value * 10) / 10;
function beside(placed, key, way) {
  const rank = placed.ranks.findIndex((row2) => row2.includes(key)), row = placed.ranks[rank] ?? [];
  if (way === "ArrowUp" || way === "ArrowDown") return row[row.indexOf(key) + (way === "ArrowUp" ? -1 : 1)];
  const forth = way === "ArrowRight";
  const linked = placed.edges.filter((edge) => (forth ? edge.from : edge.to) === key).map((edge) => forth ? edge.to : edge.from);
  const far = (node) => {
    const a = placed.at.get(node), b = placed.at.get(key);
    return Math.abs(a.x - b.x) * 1e3 + Math.abs(a.y - b.y);
  };
  return (linked.length ? linked : [...placed.ranks[rank + (forth ? 1 : -1)] ?? []]).sort((a, b) => far(a) - far(b))[0];
}

// src/graph.tsx
var MARGIN = 12;
var TITLE_LENGTH = 20;
var SHRUNK = 0.75;
var short = (text, max) => text.length > max ? `${text.slice(0, max - 1)}…` : text;
function Graph({ nodes, edges, chosen, choose, fit = false, label }) {
  const shape = nodes.map((each) => each.key).join("\n") + "\0" + edges.map((each) => `${each.from}
${each.to}`).join("\0");
  const earlier = useRef(void 0);
  const placed = useMemo(() => earlier.current = layout(nodes.map((each) => each.key), edges.map((each) => [each.from, each.to]), SIZES, earlier.current), [shape]);
  const of = new Map(nodes.map((each) => [each.key, each]));
  const when = new Map(edges.map((each) => [`${each.from}\0${each.to}`, each.when]));
  const width = placed.width + 2 * MARGIN, height = placed.height + 2 * MARGIN;
  const box = useRef(null);
  const [pane, setPane] = useState([width, height]);
  const [active, setActive] = useState(void 0);
  const stop = active !== void 0 && of.has(active) ? active : chosen !== void 0 && of.has(chosen) ? chosen : nodes[0]?.key;
  const wide = Math.min(1, pane[0] / width), scale = fit ? Math.min(wide, pane[1] / height) : wide < SHRUNK ? 1 : wide;
  useLayoutEffect(() => {
    const element = box.current;
    const measured = new ResizeObserver(() => setPane([element.clientWidth, element.clientHeight]));
    setPane([element.clientWidth, element.clientHeight]);
    measured.observe(element);
    return () => measured.disconnect();
  }, []);
  useEffect(() => {
    const at = chosen === void 0 ? void 0 : placed.at.get(chosen), element = box.current;
    if (!at || !element) return;
    const x = at.x * scale, y = at.y * scale;
    if (x < element.scrollLeft || x + SIZES.width * scale > element.scrollLeft + element.clientWidth) element.scrollLeft = x - element.clientWidth / 2;
    if (y < element.scrollTop || y + SIZES.height * scale > element.scrollTop + element.clientHeight) element.scrollTop = y - element.clientHeight / 2;
  }, [chosen, placed, scale]);
  function press(event, key) {
    if (event.key === "Enter" || event.key === " ") choose?.(key);
    else if (!event.key.startsWith("Arrow")) return;
    else {
      const next = beside(placed, key, event.key);
      if (next !== void 0) {
        setActive(next);
        [...box.current.querySelectorAll("[data-key]")].find((each) => each.dataset["key"] === next)?.focus();
      }
    }
    event.preventDefault();
  }
  return el("div", { class: fit ? "graph fit" : "graph", ref: box, tabIndex: choose ? void 0 : 0, role: "group", "aria-label": label },
  el("svg", { width: width * scale, height: height * scale, viewBox: `0 0 ${width} ${height}`, role: "presentation" },
  el("g", { transform: `translate(${MARGIN} ${MARGIN})` }, placed.edges.map((edge) => el("path", { key: `${edge.from}\0${edge.to}`, d: curve(edge.points), class: `edge ${when.get(`${edge.from}\0${edge.to}`) === "success" ? "" : "loose"} tone-${lookOfItem(of.get(edge.from).status).tone}` })), [...placed.at].map(([key, at]) => {
    const node = of.get(key), look = node.status ? lookOfItem(node.status) : { tone: "wait", word: "planned" };
    return el(
      "g",
      {
        key,
        transform: `translate(${at.x} ${at.y})`,
        class: `node tone-${look.tone} ${key === chosen ? "chosen" : ""}`,
        ...choose ? {
          role: "button",
          "data-key": key,
          tabIndex: key === stop ? 0 : -1,
          "aria-pressed": key === chosen,
          onFocus: () => setActive(key),
          onClick: () => choose(key),
          onKeyDown: (event) => press(event, key)
        } : {}
      },
      (key.length > TITLE_LENGTH || node.note.length > TITLE_LENGTH) && el("title", null, `${safe(key)} ${look.word} · ${safe(node.note)}`),
      el("rect", { width: SIZES.width, height: SIZES.height, rx: "4", class: "box" }),
      el("rect", { width: "3", height: SIZES.height, class: "side" }),
      el("g", { transform: "translate(10 7)" }, el(Glyph, { tone: look.tone })),
      el("text", { x: "30", y: "18", class: "name" }, short(safe(key), TITLE_LENGTH)),
      el("text", { x: "30", y: "34", class: "note" }, short(`${look.word}${node.note ? ` · ${safe(node.note)}` : ""}`, TITLE_LENGTH + 5))
    );
  }))));
}
export {
  Graph
};
