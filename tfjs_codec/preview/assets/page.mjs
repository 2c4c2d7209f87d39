// Draws the page from the JSON in it. Names come from model files: they become text nodes and
// attributes only, never markup.
const data = JSON.parse(document.getElementById('model').textContent);
const {nodes, edges, tensors} = data;
const MOST_DRAWN = 400;  // boxes; more are slow to lay out, and nobody reads them
const MOST_LINES = 2000;  // connections
const MOST_SPAN = 3000;  // rows that all connections cross, which the time of the layout depends on
const UNFOLDED = 60;  // boxes of a model that is shown unfolded
const ROWS = 200, CARDS = 24;  // at first

// ------------------------------------------------------------------------------------- elements
const SVG = 'http://www.w3.org/2000/svg';
function fill(element, properties, children) {
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter(child => child != null && child !== false));
  return element;
}
const h = (tag, properties, ...children) =>
  fill(document.createElement(tag), properties, children);
const s = (tag, properties, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);
/** Returns *name* with places where a line may break. */
const broken = name => name.split(/(?<=[/_.])/).flatMap((part, place) => place ? [h('wbr'), part] : [part]);
const byId = id => document.getElementById(id);

// -------------------------------------------------------------------------------------- numbers
const whole = number => number.toLocaleString('en');
const plural = (number, noun) => `${whole(number)} ${noun}${number === 1 ? '' : 's'}`;
function bytes(number) {
  if (number == null) return 'unknown';
  if (number < 1000) return `${number} B`;
  const power = Math.min(4, Math.floor(Math.log10(number) / 3));
  return `${(number / 1000 ** power).toPrecision(3)} ${['', 'kB', 'MB', 'GB', 'TB'][power]}`;
}
const short = number =>
  number == null ? '?' : (Number.isInteger(number) && Math.abs(number) < 1e6
    ? whole(number) : Number(number.toPrecision(3)).toString()).replace(/^-/, '−');
const shapeText = shape =>
  shape.length ? shape.map(size => size ?? '?').join(' × ') : 'scalar';
const cut = (text, length) => text.length <= length ? text : `${text.slice(0, length - 1)}…`;

// ------------------------------------------------------------------------------------- the tree
const children = nodes.map(() => []);
const roots = [];
nodes.forEach(({parent}, id) => (parent == null ? roots : children[parent]).push(id));
const before = nodes.map(() => []), after = nodes.map(() => []);
for (const [from, to] of edges) {
  before[to].push(from);
  after[from].push(to);
}
const isGroup = id => children[id].length > 0;
const groups = nodes.map((_, id) => id).filter(isGroup);
const open = new Set();
const visible = (ids = roots) =>
  ids.reduce((sum, id) => sum + 1 + (open.has(id) ? visible(children[id]) : 0), 0);
if (nodes.length <= UNFOLDED) groups.forEach(id => open.add(id));

const CATEGORIES = [
  [/^(input|placeholder|outputs?$)/i, 'io'],
  [/lstm|gru|rnn|bidirectional|timedistributed|while|loop|tensorlist/i, 'rnn'],
  [/conv/i, 'conv'], [/norm|rescaling/i, 'norm'], [/pool/i, 'pool'], [/embed|gather|lookup|vectoriz/i, 'embed'],
  [/dense|matmul|einsum|attention/i, 'dense'],
  [/activation|relu|softmax|sigmoid|tanh|elu|gelu|swish|softplus|erf|exp$/i, 'act'],
  [/^add|concat|multiply|subtract|average|maximum|minimum|^mul$|^sub$|merge|dot|pack/i, 'merge'],
  [/^(scope|functional|sequential|model)$/i, 'group'],
];
const category = id => isGroup(id) && !/lstm|gru|rnn|bidirectional|time/i.test(nodes[id].kind)
  ? 'group' : CATEGORIES.find(([pattern]) => pattern.test(nodes[id].kind))?.[1] ?? 'other';

// ------------------------------------------------------------------------------------ histogram
function histogram(tensor) {
  const found = tensor.histogram;
  if (!found || found.low == null) return null;
  const {counts, low, high} = found, top = Math.max(...counts), width = 100 / counts.length;
  const zero = low < 0 && high > 0 ? -low / (high - low) * 100 : null;
  return [
    s('svg', {
      class: 'plot', viewBox: '0 0 100 40', preserveAspectRatio: 'none', role: 'img',
      'aria-label': `Histogram of ${tensor.name}: values from ${short(low)} to ${short(high)}, mean ` +
        `${short(found.mean)}`,
    },
      counts.map((count, bin) => count > 0 && s('rect', {
        x: bin * width + .15, width: width - .3, y: 40 - Math.max(.7, count / top * 39),
        height: Math.max(.7, count / top * 39),
      })),
      zero != null && s('line', {class: 'zero', x1: zero, x2: zero, y1: 0, y2: 40})),
    h('p', {class: 'ends'}, h('span', {}, short(low)), h('span', {}, short(high))),
  ];
}

function tensorCard(tensor, heading = 'h3') {
  const {histogram: found} = tensor;
  const stored = tensor.stored ? `${tensor.dtype}, stored as ${tensor.stored}` : tensor.dtype;
  const odd = found?.odd ? h('p', {class: 'bad'}, `${plural(found.odd, 'value')} NaN or infinite`) : null;
  const zeros = found?.zeros ? `, ${(found.zeros / tensor.size * 100).toPrecision(2)} % zeros` : '';
  return h('div', {class: 'card'},
    h(heading, {}, broken(tensor.name)),
    h('p', {}, `${stored} · ${shapeText(tensor.shape)} · ${bytes(tensor.nbytes)}`),
    histogram(tensor) ?? h('p', {class: 'quiet'}, tensor.size ? 'No histogram.' : 'Empty.'),
    found && found.mean != null && h('p', {}, `mean ${short(found.mean)}, deviation ${short(found.std)}${zeros}`),
    odd, errorText(tensor) && h('p', {}, errorText(tensor)));
}

function errorText(tensor) {
  const range = tensor.histogram ? tensor.histogram.high - tensor.histogram.low : 0;
  if (tensor.error != null) {
    const mean = tensor.mean_error == null ? '' : `, mean ${short(tensor.mean_error)}`;
    const part = range > 0 ? ` (${(tensor.error / range * 100).toPrecision(2)} % of the range)` : '';
    return tensor.error === 0 ? 'equal to the source' : `largest error ${short(tensor.error)}${part}${mean}`;
  }
  return tensor.step == null ? '' : `rounded by at most ${short(tensor.step / 2)}, half a step`;
}

// ------------------------------------------------------------------------------------ the graph
const HEIGHT = 46, HEAD = 34;
const measuring = document.createElement('canvas').getContext('2d');
function textWidth(text, font) {
  measuring.font = `${font} system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif`;
  return measuring.measureText(text).width;
}
/** Returns the name of *id* without the scope that it is drawn in. */
function ownName(id) {
  const {name, parent} = nodes[id];
  const scope = parent != null && nodes[parent].kind === 'scope' ? `${nodes[parent].name}/` : '';
  return scope && name.startsWith(scope) ? name.slice(scope.length) : name;
}
const cutFront = (text, length) => text.length <= length ? text : `…${text.slice(1 - length)}`;
const typeText = id => nodes[id].kind === 'scope' ? cutFront(ownName(id), 30) : cut(nodes[id].kind, 30);
const nameText = id => [
  nodes[id].kind !== 'scope' && (ownName(id).includes('/') ? cutFront : cut)(ownName(id), 34),
  isGroup(id) && `${whole(children[id].length)} inside`,
].filter(Boolean).join(' · ');
const amountText = id => nodes[id].parameters ? whole(nodes[id].parameters) : '';
const edgeText = id => nodes[id].shapes.length === 1 ? cut(shapeText(nodes[id].shapes[0]), 28) : '';

function boxSize(id) {
  const first = textWidth(typeText(id), '600 12px') + textWidth(amountText(id), '11px') + 26;
  const width = Math.max(first, textWidth(nameText(id), '11px')) + 30 + (isGroup(id) ? 22 : 0);
  return {width: Math.max(118, Math.ceil(width)), height: HEIGHT};
}

/** Lays out the boxes *ids*, those in open ones first; returns the size and what to draw where. */
function arrange(ids) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({rankdir: 'TB', nodesep: 24, ranksep: 24, edgesep: 14, marginx: 14, marginy: 14});
  graph.setDefaultEdgeLabel(() => ({}));
  const inside = new Map();
  for (const id of ids) {
    let size = boxSize(id);
    if (open.has(id)) {
      const inner = arrange(children[id]);
      inside.set(id, inner);
      size = {width: Math.max(size.width, inner.width), height: inner.height + HEAD};
    }
    graph.setNode(String(id), {...size});
  }
  const [laidOut, loose] = sortEdges(ids);
  for (const [from, to] of laidOut) {
    const text = edgeText(from), width = text ? textWidth(text, '10.5px') + 8 : 0;
    graph.setEdge(String(from), String(to), {text, width, height: text ? 14 : 0, labelpos: 'c'});
  }
  dagre.layout(graph);
  const {width, height} = graph.graph();
  return {width: width || 0, height: height || 0, graph, ids, inside, loose};
}

let spanLeft, linesLeft;  // of what one drawing may have
/** Returns the edges between the boxes *ids*: those that are laid out, and longer ones that are not. */
function sortEdges(ids) {
  const here = new Set(ids), row = new Map(ids.map(id => [id, 0]));
  const waiting = new Map(ids.map(id => [id, before[id].filter(other => here.has(other)).length]));
  const ready = ids.filter(id => !waiting.get(id));
  for (const id of ready) {  // grows meanwhile; what is in a cycle stays in row 0
    for (const to of after[id]) {
      if (!here.has(to)) continue;
      row.set(to, Math.max(row.get(to), row.get(id) + 1));
      waiting.set(to, waiting.get(to) - 1);
      if (!waiting.get(to)) ready.push(to);
    }
  }
  const span = ([from, to]) => Math.abs(row.get(to) - row.get(from));
  const found = ids.flatMap(from => after[from].filter(to => here.has(to)).map(to => [from, to]));
  const drawn = found.sort((a, b) => span(a) - span(b)).slice(0, linesLeft);
  linesLeft -= found.length;
  const laidOut = drawn.filter(edge => (spanLeft -= span(edge)) >= 0);
  return [laidOut, drawn.slice(laidOut.length)];
}

const boxes = new Map();  // drawn, by id
const lines = [];  // drawn edges
let chosen = null, scale = 1, plan = null, here = null;

function drawBox(id, {x, y, width, height}, inner) {
  const node = nodes[id], isOpen = Boolean(inner), left = x - width / 2, top = y - height / 2;
  const facts = [
    node.kind === 'scope' ? 'Scope' : node.kind, node.name,
    node.shapes.length ? `output ${node.shapes.map(shapeText).join(' and ')}` : '',
    node.parameters ? plural(node.parameters, 'parameter') : '',
    isGroup(id) ? plural(children[id].length, data.unit) + ' inside' : '',
  ];
  const group = s('g', {
    class: `node${isOpen ? ' open' : ''}${id === chosen ? ' chosen' : ''}`,
    transform: `translate(${left} ${top})`, role: 'button', tabindex: '-1', 'data-id': id,
    'aria-expanded': isGroup(id) ? String(isOpen) : null,
    'aria-pressed': isGroup(id) ? null : String(id === chosen),
  },
    s('title', {}, facts.filter(Boolean).join(', ')),  // its name for screen readers, too
    s('rect', {class: 'box', width, height, rx: 8}),
    s('path', {class: category(id), d: `M8 0 h-1 a7 7 0 0 0 -7 7 v${height - 14} a7 7 0 0 0 7 7 h1 z`, transform: 'scale(.7 1)'}),
    s('text', {class: 'type', x: 15, y: 19}, typeText(id)),
    s('text', {class: 'name', x: 15, y: 35 - (isOpen ? 2 : 0)}, nameText(id)),
    s('text', {class: 'amount', x: width - (isGroup(id) ? 32 : 10), y: 19, 'text-anchor': 'end'}, amountText(id)),
    isGroup(id) && s('text', {class: 'type', x: width - 18, y: 19, 'text-anchor': 'middle', 'aria-hidden': 'true'}, isOpen ? '−' : '+'));
  boxes.set(id, group);
  const parts = [group];
  if (inner) parts.push(s('g', {transform: `translate(${left + (width - inner.width) / 2} ${top + HEAD})`}, drawPlan(inner)));
  return parts;
}

function curve(points) {
  const [first, ...rest] = points;
  let path = `M${first.x} ${first.y}`;
  for (let i = 0; i < rest.length - 1; i++) {
    const end = i === rest.length - 2 ? rest[i + 1] : {x: (rest[i].x + rest[i + 1].x) / 2, y: (rest[i].y + rest[i + 1].y) / 2};
    path += ` Q${rest[i].x} ${rest[i].y} ${end.x} ${end.y}`;
  }
  return rest.length === 1 ? `${path} L${rest[0].x} ${rest[0].y}` : path;
}

/** Draws an edge that is not laid out: a curve past the boxes between. */
function drawLoose(graph, [from, to]) {
  const start = graph.node(String(from)), end = graph.node(String(to));
  const y = start.y + start.height / 2, bottom = end.y - end.height / 2, aside = Math.max(start.x, end.x) + 160;
  const group = s('g', {class: 'edge loose'},
    s('path', {d: `M${start.x} ${y} C${aside} ${y + 60} ${aside} ${bottom - 60} ${end.x} ${bottom}`, 'marker-end': 'url(#arrow)'}));
  lines.push({group, from, to});
  return group;
}

function drawPlan({graph, ids, inside, loose}) {
  const drawn = graph.edges().map(({v, w}) => {
    const edge = graph.edge(v, w);
    const group = s('g', {class: 'edge'},
      s('path', {d: curve(edge.points), 'marker-end': 'url(#arrow)'}),
      edge.text && edge.x != null && s('text', {x: edge.x, y: edge.y + 4}, edge.text));
    lines.push({group, from: Number(v), to: Number(w)});
    return group;
  });
  return [...drawn, ...loose.map(edge => drawLoose(graph, edge)), ...ids.flatMap(id => drawBox(id, graph.node(String(id)), inside.get(id)))];
}

function drawGraph() {
  const sheet = byId('sheet'), note = byId('too-many');
  const total = visible();
  let ids = roots;
  note.hidden = true;
  note.textContent = '';
  if (total > MOST_DRAWN) {
    open.clear();
    note.hidden = false;
    ids = roots.slice(0, MOST_DRAWN);
    note.textContent = roots.length > MOST_DRAWN
      ? `The first ${whole(MOST_DRAWN)} of ${plural(roots.length, data.unit)} are drawn; the table has all of them.`
      : `${plural(total, 'box').replace('boxs', 'boxes')} are too many to draw: everything is folded. Unfold single ones.`;
  }
  boxes.clear();
  lines.length = 0;
  [spanLeft, linesLeft] = [MOST_SPAN, MOST_LINES];
  plan = arrange(ids);
  if (linesLeft < 0) {
    note.textContent += ` ${plural(-linesLeft, 'connection')} are not drawn.`;
    note.hidden = false;
  }
  const svg = s('svg', {
    viewBox: `0 0 ${plan.width} ${plan.height}`, role: 'group',
    'aria-label': 'Architecture. Arrow keys go from box to box, Enter shows one and folds or unfolds it.',
  },
    s('defs', {}, s('marker', {id: 'arrow', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: 'userSpaceOnUse', orient: 'auto'},
      s('path', {class: 'arrow', d: 'M0 0 L8 4 L0 8 z'}))),
    drawPlan(plan));
  sheet.replaceChildren(svg);
  if (!boxes.has(here)) here = ids[0] ?? null;
  if (here != null) stay(here);
  zoom(scale);
  mark();
}

/** Makes *id* the one box that Tab reaches. */
function stay(id) {
  boxes.get(here)?.setAttribute('tabindex', '-1');
  here = id;
  boxes.get(id)?.setAttribute('tabindex', '0');
}

function zoom(to) {
  scale = Math.min(2.5, Math.max(.15, to));
  const svg = byId('sheet').firstElementChild;
  svg.setAttribute('width', plan.width * scale);
  svg.setAttribute('height', plan.height * scale);
}
/** Makes the graph as wide as its sheet, but not larger than it is, nor smaller than *least*. */
function fit(least = 0) {
  zoom(Math.max(least, Math.min(1, (byId('sheet').clientWidth - 4) / plan.width)));
}

/** Shows the box *id*, and folds or unfolds it; its head stays where it is on the screen. */
function act(id) {
  choose(id);
  if (isGroup(id)) {
    const place = () => boxes.get(id)?.querySelector('.box').getBoundingClientRect();
    const was = place();
    if (!open.delete(id)) open.add(id);
    drawGraph();
    const is = place();
    if (was && is) byId('sheet').scrollBy(is.left + is.width / 2 - was.left - was.width / 2, is.top - was.top);
  }
  stay(id);
  boxes.get(id)?.focus({preventScroll: true});
}

function reveal(id) {
  for (let up = nodes[id].parent; up != null; up = nodes[up].parent) open.add(up);
  if (!boxes.has(id)) drawGraph();
  choose(id);
  stay(id);
  boxes.get(id)?.scrollIntoView({block: 'center', inline: 'center'});
  boxes.get(id)?.focus({preventScroll: true});
}

function keyPressed(event) {
  const box = event.target.closest('.node');
  if (!box) return;
  const id = Number(box.dataset.id);
  if (event.key === 'Enter' || event.key === ' ') act(id);
  else if (event.key === 'Home' || event.key === 'End') go([...boxes.keys()].at(event.key === 'Home' ? 0 : -1));
  else if (event.key.startsWith('Arrow')) go(nearest(id, event.key.slice(5)));
  else return;
  event.preventDefault();
}
function go(id) {
  if (id == null) return;
  stay(id);
  boxes.get(id).focus();
}
/** Returns the box next to *id* in a direction, straight ones before slanting ones. */
function nearest(id, direction) {
  const from = boxes.get(id).querySelector('.box').getBoundingClientRect();
  const middle = ({left, top, width, height}) => [left + width / 2, top + Math.min(height, HEIGHT * scale) / 2];
  const [x, y] = middle(from);
  const [dx, dy] = {Up: [0, -1], Down: [0, 1], Left: [-1, 0], Right: [1, 0]}[direction];
  let best = null, least = Infinity;
  for (const [other, box] of boxes) {
    if (other === id) continue;
    const [ox, oy] = middle(box.querySelector('.box').getBoundingClientRect());
    const ahead = (ox - x) * dx + (oy - y) * dy, aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
    const distance = ahead + 2.5 * aside;
    if (ahead > 2 && distance < least) [best, least] = [other, distance];
  }
  return best;
}

function choose(id) {
  chosen = id;
  mark();
  describe(id);
}
function mark() {
  for (const [id, box] of boxes) {
    box.classList.toggle('chosen', id === chosen);
    if (!isGroup(id)) box.setAttribute('aria-pressed', String(id === chosen));
  }
  for (const {group, from, to} of lines) group.classList.toggle('chosen', from === chosen || to === chosen);
}

function describe(id) {
  const node = nodes[id];
  const jumps = ids => ids.map(other =>
    h('div', {}, h('button', {class: 'link', onclick: () => reveal(other)}, broken(nodes[other].name))));
  const pairs = [
    ['Class', node.kind === 'scope' ? 'scope of names' : node.kind],
    ['Output', node.shapes.map(shapeText).join(', ')],
    ['Parameters', node.parameters ? whole(node.parameters) + (node.frozen ? ` (${whole(node.frozen)} frozen)` : '') : 'none'],
    ['Bytes', node.nbytes ? bytes(node.nbytes) : ''],
    ['Becomes', node.becomes.join(', ')],
    ['Takes', before[id].length ? jumps(before[id]) : ''],
    ['Goes to', after[id].length ? jumps(after[id]) : ''],
  ].filter(([, value]) => value.length);
  byId('details').replaceChildren(
    h('h3', {}, h('span', {class: `dot ${category(id)}`}), broken(node.name)),
    h('dl', {class: 'pairs'}, pairs.flatMap(([key, value]) => [h('dt', {}, key), h('dd', {}, value)])),
    ...node.tensors.slice(0, CARDS).map(place => tensorCard(tensors[place], 'h4')));
}

function foldAll(all) {
  open.clear();
  if (all) groups.forEach(id => open.add(id));
  drawGraph();
}

function makeArchitecture() {
  if (!nodes.length) {
    return [h('p', {class: 'quiet'}, 'There are weights and no architecture.')];
  }
  const onBox = use => event => {
    const box = event.target.closest('.node');
    if (box) use(Number(box.dataset.id));
  };
  // Listeners for the boxes are here: with its own, Chromium lets an <svg> be reached by Tab.
  const sheet = h('div', {
    class: 'sheet', id: 'sheet', tabindex: '-1', onkeydown: keyPressed, onclick: onBox(act), onfocusin: onBox(stay),
  });
  let grip = null;
  sheet.addEventListener('pointerdown', event => {
    if (event.pointerType === 'mouse' && !event.target.closest('.node:not(.open)')) {
      grip = {x: event.clientX + sheet.scrollLeft, y: event.clientY + sheet.scrollTop};
    }
  });
  addEventListener('pointermove', event => {
    if (!grip) return;
    sheet.classList.add('moving');
    sheet.scrollTo(grip.x - event.clientX, grip.y - event.clientY);
  });
  addEventListener('pointerup', () => {
    grip = null;
    sheet.classList.remove('moving');
  });
  return [
    h('div', {class: 'tools corner'},
      groups.length > 0 && h('button', {onclick: () => foldAll(true)}, 'Unfold all'),
      groups.length > 0 && h('button', {onclick: () => foldAll(false)}, 'Fold all'),
      h('button', {onclick: () => zoom(scale / 1.25), 'aria-label': 'Zoom out'}, '−'),
      h('button', {onclick: () => zoom(scale * 1.25), 'aria-label': 'Zoom in'}, '+'),
      h('button', {onclick: () => fit()}, 'Fit')),
    h('p', {class: 'note', id: 'too-many', role: 'status', hidden: true}),
    h('div', {class: 'split'}, sheet,
      h('aside', {id: 'details', 'aria-live': 'polite', 'aria-label': 'The chosen box'},
        h('p', {class: 'quiet'}, `Choose ${data.unit === 'layer' ? 'a' : 'an'} ${data.unit} to see its shapes and weights.`))),
  ];
}

// ------------------------------------------------------------------------------------ the table
function makeTable() {
  const biggest = Math.max(1, ...nodes.map((node, id) => isGroup(id) ? 0 : node.parameters));
  const heaviest = Math.max(1, ...nodes.map((node, id) => isGroup(id) ? 0 : node.nbytes));
  const folded = new Set(nodes.length > ROWS ? groups : []);
  let limit = ROWS, order = 'model';
  const body = h('tbody'), more = h('p');
  const sorting = h('select', {id: 'sorting', onchange: event => {
    order = event.target.value;
    draw();
  }}, h('option', {value: 'model'}, 'as in the model'), h('option', {value: 'size'}, 'largest first'));

  function listed(ids, depth) {
    return ids.flatMap(id => [[id, depth], ...(isGroup(id) && !folded.has(id) ? listed(children[id], depth + 1) : [])]);
  }
  function bar(value, most, kind, second) {
    const inner = h('span', {class: `bar ${kind}${second ? ' second' : ''}`});
    inner.style.width = `${value ? Math.max(.5, value / most * 100) : 0}%`;
    if (!value) inner.style.minWidth = '0';
    return h('span', {class: 'track'}, inner);
  }
  function row([id, depth]) {
    const node = nodes[id], name = h('span', {class: 'line'});
    name.style.paddingInlineStart = `${Math.min(depth, 8) * 1.2}rem`;
    const isFolded = folded.has(id);
    name.append(
      ...(isGroup(id) && order === 'model' ? [h('button', {
        class: 'fold', 'aria-expanded': String(!isFolded), 'aria-label': `${isFolded ? 'Unfold' : 'Fold'} ${node.name}`,
        onclick: () => {
          if (!folded.delete(id)) folded.add(id);
          draw();
          body.querySelector(`[data-row="${id}"] .fold`)?.focus();
        },
      }, isFolded ? '+' : '−')] : []),
      h('span', {class: `dot ${category(id)}`}),
      h('button', {class: 'link', onclick: () => reveal(id)}, broken(node.name)));
    const bars = isGroup(id) ? [] : [bar(node.parameters, biggest, category(id)), bar(node.nbytes, heaviest, category(id), true)];
    return h('tr', {'data-row': id}, h('td', {class: 'name'}, name),
      h('td', {class: 'optional'}, node.kind),
      h('td', {class: 'shape optional'}, node.shapes.slice(0, 2).map(shapeText).join(', ')),
      h('td', {class: 'number'}, node.parameters ? whole(node.parameters) : '–'),
      h('td', {class: 'number optional'}, node.nbytes ? bytes(node.nbytes) : '–'),
      h('td', {class: 'bars'}, bars));
  }
  function draw() {
    const rows = order === 'model' ? listed(roots, 0)
      : nodes.map((_, id) => id).filter(id => !isGroup(id)).sort((a, b) => nodes[b].parameters - nodes[a].parameters).map(id => [id, 0]);
    body.replaceChildren(...rows.slice(0, limit).map(row));
    more.replaceChildren(...(rows.length > limit ? [h('button', {onclick: () => {
      limit = Infinity;
      draw();
    }}, `Show all ${whole(rows.length)} rows`)] : []));
  }
  draw();
  return [
    h('div', {class: 'tools corner'}, h('label', {}, 'Order', sorting)),
    h('p', {class: 'quiet', id: 'bars'}, 'Bars: parameters above, bytes below, each relative to the largest.'),
    h('div', {class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Sizes'}, h('table', {'aria-describedby': 'bars'},
      h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, data.unit === 'layer' ? 'Layer' : 'Operation'),
        h('th', {scope: 'col', class: 'optional'}, 'Class'), h('th', {scope: 'col', class: 'optional'}, 'Output'),
        h('th', {scope: 'col', class: 'number'}, 'Parameters'), h('th', {scope: 'col', class: 'number optional'}, 'Bytes'),
        h('th', {scope: 'col'}, 'Share'))),
      body)),
    more,
  ];
}

// -------------------------------------------------------------------------------------- weights
function makeWeights() {
  let limit = CARDS;
  const cards = h('div', {class: 'cards'}), more = h('p'), found = h('p', {class: 'quiet', role: 'status'});
  const search = h('input', {type: 'search', id: 'search', oninput: draw});
  function draw() {
    const wanted = search.value.toLowerCase();
    const matching = tensors.filter(tensor => tensor.name.toLowerCase().includes(wanted));
    cards.replaceChildren(...matching.slice(0, limit).map(tensor => tensorCard(tensor)));
    found.textContent = wanted ? `${plural(matching.length, 'tensor')} with that in the name.` : '';
    more.replaceChildren(...(matching.length > limit ? [h('button', {onclick: () => {
      limit += 10 * CARDS;
      draw();
    }}, `Show more of ${whole(matching.length)}`)] : []));
  }
  draw();
  return [h('div', {class: 'tools corner'}, h('label', {}, 'Find', search)), found, cards, more];
}

// ----------------------------------------------------------------------------------- conversion
const list = (head, items) => items.length ? [h('h3', {}, head), h('ul', {class: 'list'}, items.map(item => h('li', {}, item)))] : [];

function makeConversion() {
  const rounded = tensors.filter(tensor => tensor.stored && errorText(tensor));
  const differing = tensors.filter(tensor => !tensor.stored && tensor.error > 0);
  const parts = [
    ...data.problems.map(text => h('p', {class: 'note'}, h('b', {}, 'Refused: '), text)),
    ...data.warnings.map(text => h('p', {class: 'note'}, h('b', {}, 'Warning: '), text)),
    data.target && !data.problems.length && h('p', {}, `tfjs-codec convert writes ${data.target}.`),
    ...(data.lowered.length ? [h('h3', {}, 'Layers that become others'), table(['Layer', 'Class', 'Becomes'],
      data.lowered.map(([name, kind, into]) => [name, kind, into.join(', ')]))] : []),
    ...list('Renamed', data.renamed.map(([old, now]) => `${old} is now ${now}`)),
    ...list('Left out', data.dropped),
    ...(rounded.length ? [h('h3', {}, 'Quantised tensors'), table(['Tensor', 'Stored as', 'Error'],
      rounded.slice(0, 500).map(tensor => [tensor.name, tensor.stored, errorText(tensor)]))] : []),
    ...(differing.length ? [h('h3', {}, 'Tensors that differ from the source'), table(['Tensor', 'Error'],
      differing.slice(0, 500).map(tensor => [tensor.name, errorText(tensor)]))] : []),
  ].filter(Boolean);
  return parts.length ? parts : [h('p', {class: 'quiet'}, 'There is nothing to report.')];
}
function table(head, rows) {
  return h('div', {class: 'wide', tabindex: '0', role: 'region', 'aria-label': head.join(', ')}, h('table', {},
    h('thead', {}, h('tr', {}, head.map(text => h('th', {scope: 'col'}, text)))),
    h('tbody', {}, rows.map(cells => h('tr', {}, cells.map((cell, place) => h('td', {class: place ? '' : 'name'}, cell)))))));
}

// --------------------------------------------------------------------------------------- a page
const sections = [
  ['architecture', 'Architecture', nodes.length && plural(nodes.length - groups.length, data.unit), makeArchitecture],
  data.run && ['run', 'Run', '', () => []],
  nodes.length && ['sizes', 'Sizes', '', makeTable],
  tensors.length && ['weights', 'Weights', plural(tensors.length, 'tensor'), makeWeights],
  ['conversion', 'Conversion', data.problems.length + data.warnings.length ? plural(data.problems.length + data.warnings.length, 'remark') : '', makeConversion],
  data.facts.length && ['file', 'File', '', () => [h('dl', {class: 'pairs'},
    data.facts.flatMap(([key, value]) => [h('dt', {}, key), h('dd', {}, value)]))]],
].filter(Boolean);

byId('kind').textContent = data.format;
byId('title').textContent = data.title;
byId('path').textContent = data.path;
const {parameters, frozen, nbytes, tensors: count} = data.totals;
byId('totals').append(...[
  ['Parameters', whole(parameters)], frozen && ['Frozen', whole(frozen)], ['Weights', bytes(nbytes)],
  nodes.length && [data.unit === 'layer' ? 'Layers' : 'Operations', whole(nodes.length - groups.length)], ['Tensors', whole(count)],
].filter(Boolean).map(([key, value]) => h('div', {}, h('dt', {}, key), h('dd', {}, value))));
for (const [id, head, amount, make] of sections) {
  byId('sections').append(h('li', {}, h('a', {href: `#${id}`}, head, amount ? h('span', {class: 'count'}, ` ${amount}`) : '')));
  byId('main').append(h('section', {id, 'aria-labelledby': `${id}-head`}, h('h2', {id: `${id}-head`}, head), ...make()));
}
byId('main').prepend(...data.notes.map(text => h('p', {class: 'note'}, text)));
byId('footer').textContent = `Made by tfjs_codec ${data.version}; the graph is laid out by dagre.`;
if (nodes.length) {
  drawGraph();
  fit(.8);  // smaller text is not read
}
document.documentElement.dataset.drawn = 'yes';
