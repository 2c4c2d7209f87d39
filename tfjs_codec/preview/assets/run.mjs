// The box that runs the model in this page. Follows page.mjs in one script.
const run = data.run;
for (const input of run.inputs) input.below ??= data.bounds[input.name];
const BACKENDS = ['webgl', 'wasm', 'webgpu', 'cpu'];
const SHOWN = 24;  // values of an output
const TOLERANCE = 1e-4;
const ROUNDED = 0.05;  // what quantised weights may differ from recorded outputs without a cross
const REPEATS = 5, REPEAT_MS = 1500;
const MOST_BYTES = 256 << 20;  // of an .npz file, and of an input

// ----------------------------------------------------------------------------------- tfjs itself
const scriptUrls = new Set([run.tfjs, ...Object.values(run.backends)]);
const policy = window.trustedTypes?.createPolicy('tfjs-codec', {
  createScriptURL: url => {
    if (scriptUrls.has(url)) return url;
    throw new TypeError(`not a script of this page: ${url}`);
  },
});
function loadScript(url) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.crossOrigin = 'anonymous';
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${url} did not load. Is the network up? Offline, start the preview with --tfjs DIR.`));
    script.src = policy ? policy.createScriptURL(url) : url;
    document.head.append(script);
  });
}
let loading = null;
const missing = new Map();  // backends whose scripts did not load
function loadTfjs() {
  loading ??= (async () => {
    // Else tfjs sets it by a string of code, which the policy of this page forbids.
    window.regeneratorRuntime ??= undefined;
    await loadScript(run.tfjs);
    if (!window.tf?.loadGraphModel) throw new Error(`${run.tfjs} is not TensorFlow.js.`);
    for (const [name, url] of Object.entries(run.backends)) {
      await loadScript(url).catch(error => missing.set(name, error.message));
    }
    if (run.binaries && window.tf.wasm) window.tf.wasm.setWasmPaths(run.binaries);
    window.tf.enableProdMode();
  })().catch(error => {
    loading = null;
    throw error;
  });
  return loading;
}

// ---------------------------------------------------------------------------------------- arrays
// An array is {dtype, shape, values}; values are a typed array, or a list of strings.
const TYPES = {float32: Float32Array, int32: Int32Array, bool: Uint8Array};
const sizeOf = shape => shape.reduce((all, size) => all * size, 1);

function randomNumbers(seed) {  // mulberry32
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
function randomArray({dtype, below}, shape, next) {
  const size = sizeOf(shape);
  if (!(size * 4 <= MOST_BYTES)) throw new Error(`an input of ${whole(size)} values is too large for this page`);
  if (dtype === 'string') return {dtype, shape, values: Array.from({length: size}, () => ['alpha', 'beta', 'gamma'][Math.floor(next() * 3)])};
  const Type = TYPES[dtype] ?? Float32Array;
  const draw = dtype === 'bool' ? () => next() < .5 : dtype === 'int32' || below ? () => Math.floor(next() * (below || 10)) : next;
  return {dtype: TYPES[dtype] ? dtype : 'float32', shape, values: Type.from({length: size}, draw)};
}
function nestedShape(value) {
  const shape = [];
  for (let inner = value; Array.isArray(inner); inner = inner[0]) shape.push(inner.length);
  return shape;
}
function fromNested(value, {name, dtype}) {
  const shape = nestedShape(value), flat = Array.isArray(value) ? value.flat(Infinity) : [value];
  if (flat.length !== sizeOf(shape)) throw new Error(`${name}: the lists are not of one length`);
  if (dtype === 'string') return {dtype, shape, values: flat.map(String)};
  const wrong = flat.find(one => typeof one !== 'number' && typeof one !== 'boolean');
  if (wrong !== undefined) throw new Error(`${name}: ${JSON.stringify(wrong)} is not a number`);
  return {dtype: TYPES[dtype] ? dtype : 'float32', shape, values: (TYPES[dtype] ?? Float32Array).from(flat)};
}
/** Gives *array* the shape that the input has, if the number of values allows it. */
function fitShape(array, {name, shape}) {
  const known = shape.slice(1), row = known.every(size => size > 0) ? sizeOf(known) : null;
  if (array.shape.length === shape.length && known.every((size, axis) => !(size > 0) || size === array.shape[axis + 1])) return array;
  if (row && array.values.length && array.values.length % row === 0) return {...array, shape: [array.values.length / row, ...known]};
  throw new Error(`${name}: the values have shape ${shapeText(array.shape)}, the model takes ${shapeText(shape)}`);
}
function parseText(text) {
  const trimmed = text.trim();
  if (!trimmed) throw new Error('Paste JSON or CSV first.');
  let value;
  try {
    value = JSON.parse(trimmed);
  } catch (error) {
    if (/^[[{"]/.test(trimmed)) throw new Error(`That is not valid JSON: ${error.message}`);
    const rows = trimmed.split(/\r?\n/).map(line => line.split(/[,;\t]/).map(cell => cell.trim()));
    const isNumber = cell => cell !== '' && Number.isFinite(Number(cell));
    if (!rows[0].every(isNumber) && rows.length > 1) rows.shift();  // a head
    value = rows.map(row => row.map(cell => isNumber(cell) ? Number(cell) : cell));
  }
  const named = value && typeof value === 'object' && !Array.isArray(value);
  return run.inputs.map((input, place) => {
    const own = named ? value[input.name] : run.inputs.length === 1 ? value : value[place];
    if (own === undefined) throw new Error(`There is no value for the input ${input.name}. Give an object by the names of the inputs.`);
    return fitShape(fromNested(own, input), input);
  });
}

// ------------------------------------------------------------------------------------ .npz files
async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  const found = [];
  let size = 0;
  for (const reader = stream.getReader(); ;) {
    const {done, value} = await reader.read();
    if (done) break;
    size += value.length;
    if (size > MOST_BYTES) throw new Error('the .npz file is too large for this page');
    found.push(value);
  }
  return new Uint8Array(await new Blob(found).arrayBuffer());
}
async function readNpz(buffer) {
  const view = new DataView(buffer), bytes = new Uint8Array(buffer), arrays = new Map();
  let end = buffer.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Error('that is not an .npz file');
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(at, true) !== 0x02014b50) throw new Error('the .npz file is damaged');
    const method = view.getUint16(at + 10, true), size = view.getUint32(at + 20, true);
    const [nameSize, extra, comment] = [28, 30, 32].map(offset => view.getUint16(at + offset, true));
    const start = view.getUint32(at + 42, true);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameSize));
    const from = start + 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
    const packed = bytes.subarray(from, from + size);
    if (method !== 0 && method !== 8) throw new Error(`${name} is compressed in an unknown way`);
    arrays.set(name.replace(/\.npy$/, ''), readNpy(method ? await inflate(packed) : packed.slice(), name));
    at += 46 + nameSize + extra + comment;
  }
  return arrays;
}
const NPY = {
  f2: null, f4: Float32Array, f8: Float64Array, i1: Int8Array, i2: Int16Array, i4: Int32Array,
  i8: BigInt64Array, u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, u8: BigUint64Array, b1: Uint8Array,
};
function readNpy(bytes, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset), long = bytes[6] > 1;
  const head = long ? view.getUint32(8, true) : view.getUint16(8, true), start = (long ? 12 : 10) + head;
  const text = new TextDecoder('latin1').decode(bytes.subarray(start - head, start));
  const [, descr] = /'descr':\s*'[<|=]?(\w+)'/.exec(text) ?? [], [, sizes] = /'shape':\s*\(([^)]*)\)/.exec(text) ?? [];
  if (descr === undefined || sizes === undefined) throw new Error(`${name}: numpy's header is not understood`);
  const shape = sizes.split(',').map(each => each.trim()).filter(Boolean).map(Number), size = sizeOf(shape);
  const data = bytes.slice(start).buffer, fortran = /'fortran_order':\s*True/.test(text) && shape.length > 1;
  const strings = /^([SU])(\d+)$/.exec(descr);
  if (strings) {
    const width = Number(strings[2]) * (strings[1] === 'U' ? 4 : 1);
    const values = Array.from({length: size}, (_, place) => {
      if (strings[1] === 'S') return new TextDecoder().decode(new Uint8Array(data, place * width, width)).replace(/\0+$/, '');
      return String.fromCodePoint(...new Uint32Array(data, place * width, width / 4)).replace(/\0+$/, '');
    });
    return {dtype: 'string', shape, values, fortran};
  }
  if (!(descr in NPY)) throw new Error(`${name} holds ${descr}, which this page does not read`);
  if (descr === 'f2') return {dtype: 'float32', shape, values: Float32Array.from(new Uint16Array(data, 0, size), fromHalf), fortran};
  const values = new NPY[descr](data, 0, size);
  if (descr === 'b1') return {dtype: 'bool', shape, values, fortran};
  const dtype = descr.startsWith('f') ? 'float32' : 'int32';
  return {dtype, shape, values: TYPES[dtype].from(values, Number), fortran};
}
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * fraction / 1024);
}
/** Returns the arrays of inputs and outputs: in0, in:KEY or by name. */
function pickRecorded(arrays) {
  const pick = (kind, names) => names.map((name, place) => arrays.get(`${kind}${place}`) ?? arrays.get(`${kind}:${name}`) ?? arrays.get(name));
  const inputs = pick('in', run.inputs.map(input => input.name)), outputs = pick('out', run.outputs);
  const lacking = inputs.findIndex(array => !array);
  if (lacking >= 0) throw new Error(`The file has no in${lacking}, in:${run.inputs[lacking].name} or ${run.inputs[lacking].name}; it has ${[...arrays.keys()].slice(0, 12).join(', ')}.`);
  return {
    inputs: inputs.map((array, place) => {
      const {dtype} = run.inputs[place];
      return dtype in TYPES && array.dtype !== dtype && array.dtype !== 'string'
        ? {...array, dtype, values: TYPES[dtype].from(array.values)} : array;
    }),
    outputs: outputs.some(Boolean) ? outputs : null,
  };
}

// --------------------------------------------------------------------------------------- running
function toTensor({dtype, shape, values, fortran}) {
  const {tf} = window;
  if (!fortran) return tf.tensor(values, shape, dtype);
  return tf.transpose(tf.tensor(values, [...shape].reverse(), dtype));
}
async function predict(model, feed) {
  const {tf} = window;
  if (!run.graph) {
    return [model.predict(feed.length === 1 ? feed[0] : feed, {batchSize: 1024})].flat();
  }
  const names = run.inputs.map(input => input.name);
  const given = names.length ? Object.fromEntries(names.map((name, place) => [name, feed[place]])) : feed;
  const wanted = run.outputs.length ? run.outputs : undefined;
  const found = run.async ? await model.executeAsync(given, wanted) : model.execute(given, wanted);
  return found instanceof tf.Tensor ? [found] : [found].flat();
}
const median = numbers => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

async function runOn(backend, inputs) {
  const {tf} = window;
  if (missing.has(backend)) throw new Error(missing.get(backend));
  if (!tf.findBackendFactory(backend)) {
    throw new Error(backend in {wasm: 0, webgpu: 0} && !(backend in run.backends)
      ? `@tensorflow/tfjs-backend-${backend} is not installed beside @tensorflow/tfjs` : 'tfjs has no such backend here');
  }
  if (!await tf.setBackend(backend).catch(() => false)) throw new Error('not available in this browser');
  await tf.ready();
  let model, feed = [];
  const times = [], tidy = new Set();
  try {
    const start = performance.now();
    model = await (run.graph ? tf.loadGraphModel : tf.loadLayersModel)(run.model);
    const load = performance.now() - start;
    feed = inputs.map(toTensor);
    let outputs;
    for (let turn = 0; turn <= REPEATS; turn++) {
      const begin = performance.now();
      const found = await predict(model, feed);
      const values = await Promise.all(found.map(tensor => tensor.data()));
      times.push(performance.now() - begin);
      found.forEach(tensor => tidy.add(tensor));
      outputs ??= found.map(({dtype, shape}, place) => ({dtype, shape, values: Array.from(values[place])}));
      if (times.slice(1).reduce((sum, time) => sum + time, 0) > REPEAT_MS) break;
      await new Promise(resolve => setTimeout(resolve));
    }
    return {outputs, load, first: times[0], later: times.length > 1 ? median(times.slice(1)) : null};
  } finally {
    for (const tensor of [...feed, ...tidy]) if (!tensor.isDisposed) tensor.dispose();
    model?.dispose();
    tf.disposeVariables();
  }
}

/** Returns the largest distance of two lists of outputs, relative to the largest value or 1. */
function distance(outputs, wanted) {
  let largest = 0;
  for (const [place, array] of wanted.entries()) {
    if (!array) continue;
    const found = outputs[place], order = array.fortran ? fortranOrder(array) : array.values;
    if (!found || found.values.length !== order.length) return Infinity;
    let scale = 1, difference = 0;
    for (let i = 0; i < order.length; i++) {
      if (array.dtype === 'string') {
        if (String(found.values[i]) !== String(order[i])) return Infinity;
        continue;
      }
      const a = Number(found.values[i]), b = Number(order[i]);
      if (Number.isNaN(a) && Number.isNaN(b) || a === b) continue;
      difference = Math.max(difference, Number.isFinite(a - b) ? Math.abs(a - b) : Infinity);
      if (Number.isFinite(b)) scale = Math.max(scale, Math.abs(b));
    }
    largest = Math.max(largest, difference / scale);
  }
  return largest;
}
function fortranOrder({shape, values}) {
  const strides = shape.map((_, axis) => sizeOf(shape.slice(0, axis)));
  return values.map((_, place) => {
    let at = 0, rest = place;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += rest % shape[axis] * strides[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return values[at];
  });
}

// --------------------------------------------------------------------------------------- showing
const ms = time => time == null ? '–' : time >= 1e4 ? `${(time / 1e3).toFixed(1)} s` : `${time >= 100 ? whole(Math.round(time)) : time.toPrecision(2)} ms`;
const digits = (value, places) => typeof value !== 'number' || Number.isInteger(value) ? String(value)
  : Math.abs(value) < 1e-4 ? value.toExponential(2) : value.toPrecision(places);
function showOutput(output, place) {
  const {shape, dtype, values} = output, last = shape.at(-1) ?? 1;
  const name = run.outputs[place] ?? `output ${place}`;
  const parts = [h('h4', {}, `${name}: ${dtype}, ${shapeText(shape)}`)];
  if (dtype !== 'string' && shape.length === 2 && last > 1 && last <= 5000) {
    const row = values.slice(0, last), top = row.map((value, index) => [value, index]).sort((a, b) => b[0] - a[0]).slice(0, 5);
    const most = Math.max(...row.map(value => Math.abs(value) || 0), 1e-12);
    parts.push(h('div', {class: 'best', role: 'group', 'aria-label': `Largest values of ${name}`}, top.flatMap(([value, index]) => {
      const bar = h('span', {class: 'bar'});
      bar.style.width = `${Math.abs(value) / most * 100}%`;
      return [h('span', {}, run.labels[index] ?? `class ${index}`), h('span', {}, bar), h('span', {}, digits(value, 4))];
    })));
  }
  const some = values.slice(0, SHOWN).map(value => digits(value, 6));
  parts.push(h('p', {class: 'values'}, some.join(', ') + (values.length > SHOWN ? `, … (${whole(values.length)} values)` : '')));
  return parts;
}
function showResults(results, recorded) {
  const done = results.filter(result => result.outputs), reference = recorded?.outputs ?? done[0]?.outputs;
  const from = recorded?.outputs ? 'the recorded outputs' : `those of ${done[0]?.backend}`;
  const rounded = recorded?.outputs && tensors.some(tensor => tensor.stored);
  const marks = off => off <= TOLERANCE ? ['good', '✓'] : rounded && off <= ROUNDED ? ['quiet', '≈'] : ['bad', '✗'];
  const rows = results.map(result => {
    if (!result.outputs) return h('tr', {}, h('th', {scope: 'row'}, result.backend), h('td', {colspan: 4, class: 'bad'}, result.error));
    const off = distance(result.outputs, reference), [look, mark] = marks(off);
    const itself = !recorded?.outputs && result === done[0];
    return h('tr', {'data-backend': result.backend, 'data-difference': String(off)},
      h('th', {scope: 'row'}, result.backend), h('td', {class: 'number'}, ms(result.load)),
      h('td', {class: 'number'}, ms(result.first)), h('td', {class: 'number'}, ms(result.later)),
      h('td', {class: itself ? 'number' : `number ${look}`},
        itself ? '–' : off === 0 ? 'equal' : `${off === Infinity ? 'of another kind' : off.toExponential(1)} ${mark}`));
  });
  return [
    h('p', {class: 'quiet', id: 'meaning'}, `Difference from ${from}: the largest, relative to the largest value or 1. Later: the median of up to ${REPEATS} predictions after the first.`,
      rounded ? ` The weights are quantised: up to ${ROUNDED} (≈) is what rounding them does.` : ''),
    h('div', {class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Results by backend'}, h('table', {id: 'results', 'aria-describedby': 'meaning'},
      h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, 'Backend'),
        ...['Load', 'First', 'Later', 'Difference'].map(head => h('th', {scope: 'col', class: 'number'}, head)))),
      h('tbody', {}, rows))),
    ...(done.length ? [h('h3', {}, `Outputs on ${done[0].backend}`), ...done[0].outputs.flatMap(showOutput)] : []),
  ];
}

// ------------------------------------------------------------------------------------- the inputs
const pictureInput = run.inputs.find(({shape, dtype}) => shape.length === 4 && dtype !== 'string' && [1, 3, 4].includes(shape[3]));
const shapeFields = run.inputs.map((input, place) => h('input', {
  type: 'text', id: `shape-${place}`, size: 16, 'aria-label': `Shape of ${input.name}`,
  value: input.shape.map((size, axis) => size > 0 ? size : axis ? (input.shape.length === 4 ? 64 : 10) : 1).join(', '),
}));
const seedField = h('input', {type: 'number', value: 1, min: 0, class: 'small'});
const textField = h('textarea', {'aria-label': 'JSON or CSV', spellcheck: 'false', placeholder: run.inputs.length === 1
  ? '[[0.1, 0.2, …]] or rows of numbers' : `{${run.inputs.slice(0, 3).map(({name}) => `${JSON.stringify(cut(name, 20))}: […]`).join(', ')}}`});
const picture = h('canvas', {width: 1, height: 1, hidden: true, role: 'img', 'aria-label': 'The picture as the model gets it'});
const scaleField = h('select', {}, ...[['0 … 1', '255,0'], ['−1 … 1', '127.5,-1'], ['0 … 255', '1,0']].map(([text, value]) => h('option', {value}, text)));
const fileField = h('input', {type: 'file', accept: 'image/*', 'aria-label': 'An image'});
const recordField = h('input', {type: 'file', accept: '.npz', 'aria-label': 'A recorded .npz file'});
const video = h('video', {playsinline: true, muted: true, hidden: true, 'aria-label': 'The camera'});
video.muted = true;
let camera = null, hasPicture = false;

function drawPicture(image, width, height) {
  const [, rows, columns] = pictureInput.shape;
  picture.width = columns > 0 ? columns : Math.min(width, 512);
  picture.height = rows > 0 ? rows : Math.min(height, 512);
  picture.getContext('2d', {willReadFrequently: true}).drawImage(image, 0, 0, picture.width, picture.height);
  picture.hidden = false;
  hasPicture = true;
}
async function takeFile(file) {
  if (!file) return;
  try {
    const image = await createImageBitmap(file);
    drawPicture(image, image.width, image.height);
    say('');
  } catch {
    say(`${file.name} is not an image that this browser reads.`, true);
  }
}
function pictureArray() {
  const {width, height} = picture, channels = pictureInput.shape[3], [divisor, shift] = scaleField.value.split(',').map(Number);
  const pixels = picture.getContext('2d').getImageData(0, 0, width, height).data;
  const values = new Float32Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    const [r, g, b, a] = pixels.subarray(4 * i, 4 * i + 4);
    const used = channels === 1 ? [.299 * r + .587 * g + .114 * b] : [r, g, b, a];
    for (let c = 0; c < channels; c++) values[i * channels + c] = used[c] / divisor + shift;
  }
  const dtype = pictureInput.dtype === 'int32' ? 'int32' : 'float32';
  return {dtype, shape: [1, height, width, channels], values: TYPES[dtype].from(values)};
}
async function toggleCamera(event) {
  if (camera) {
    camera.getTracks().forEach(track => track.stop());
    camera = null;
    video.hidden = true;
    event.target.textContent = 'Start the camera';
    return;
  }
  try {
    camera = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}});
    video.srcObject = camera;
    video.hidden = false;
    await video.play();
    event.target.textContent = 'Stop the camera';
    say('');
  } catch (error) {
    say(`There is no camera: ${error.message}`, true);
  }
}

const randomInputs = () => {
  const next = randomNumbers(Number(seedField.value));
  return run.inputs.map((input, place) => {
    const shape = shapeFields[place].value.split(/[,×x\s]+/).filter(Boolean).map(Number);
    if (!shape.every(size => Number.isInteger(size) && size >= 0)) throw new Error(`${shapeFields[place].value} is not a shape`);
    return randomArray(input, shape, next);
  });
};
function pictureInputs() {
  if (!hasPicture) throw new Error('Choose or drop an image first.');
  const rest = randomInputs();
  return run.inputs.map((input, place) => input === pictureInput ? pictureArray() : rest[place]);
}
const MODES = [
  ['random', 'Random', () => [
    h('div', {class: 'choices'}, h('label', {}, 'Seed', seedField),
      ...run.inputs.map((input, place) => h('label', {}, `${cut(input.name, 40)} (${input.dtype})`, shapeFields[place])))],
    async () => ({inputs: randomInputs()})],
  ['text', 'JSON or CSV', () => [textField], async () => ({inputs: parseText(textField.value)})],
  pictureInput && ['image', 'Image', () => [
    h('div', {class: 'drop', id: 'drop'}, h('label', {}, 'Drop an image here, or choose one', fileField))],
    async () => ({inputs: pictureInputs()})],
  pictureInput && ['camera', 'Camera', () => [h('button', {type: 'button', onclick: toggleCamera}, 'Start the camera'), h('div', {class: 'pictures'}, video)],
    async () => {
      if (!camera) throw new Error('Start the camera first.');
      drawPicture(video, video.videoWidth, video.videoHeight);
      return {inputs: pictureInputs()};
    }],
  ['recorded', 'Recorded .npz', () => [
    h('p', {class: 'quiet'}, 'Inputs in0, in1, … and what the source model returned for them, out0, …; or in:KEY and out:KEY.'),
    run.recorded && h('p', {}, 'The file of the command line is used unless you choose another.'), recordField],
    async () => {
      const [file] = recordField.files;
      if (!file && !run.recorded) throw new Error('Choose an .npz file first.');
      if (file && file.size > MOST_BYTES) throw new Error('the .npz file is too large for this page');
      const buffer = file ? await file.arrayBuffer() : await (await fetch(run.recorded)).arrayBuffer();
      return pickRecorded(await readNpz(buffer));
    }],
].filter(Boolean);

// ----------------------------------------------------------------------------------------- the box
const status = h('p', {class: 'status', role: 'status', id: 'status'}), results = h('div', {id: 'outputs'});
function say(text, bad = false) {
  status.textContent = text;
  status.className = bad ? 'status bad' : 'status';
}
const backendFields = BACKENDS.map(name => h('input', {type: 'checkbox', value: name, checked: true}));
let mode = run.recorded ? 'recorded' : 'random';
const panels = MODES.map(([name, , make]) => h('div', {class: 'panel', id: `panel-${name}`, hidden: name !== mode}, ...make()));
const pictures = h('div', {class: 'panel', hidden: true}, h('label', {}, 'Values', scaleField), h('div', {class: 'pictures'}, picture));
const runButton = h('button', {class: 'main', id: 'go', onclick: runAll}, 'Run');

function setMode(name) {
  mode = name;
  MODES.forEach(([each], place) => panels[place].hidden = each !== name);
  pictures.hidden = name !== 'image' && name !== 'camera';
}
async function runAll() {
  runButton.disabled = true;
  results.replaceChildren();
  say('Reading the input …');
  try {
    const given = await MODES.find(([name]) => name === mode)[3]();
    say('Loading TensorFlow.js …');
    await loadTfjs();
    const found = [];
    for (const field of backendFields.filter(each => each.checked)) {
      const backend = field.value;
      say(`Running on ${backend} …`);
      await new Promise(resolve => setTimeout(resolve, 30));
      try {
        found.push({backend, ...await runOn(backend, given.inputs)});
      } catch (error) {
        found.push({backend, error: String(error?.message ?? error).slice(0, 500)});
      }
      results.replaceChildren(...showResults(found, given));
    }
    const good = found.filter(each => each.outputs).length;
    say(found.length ? `Ran on ${good} of ${plural(found.length, 'backend')}, TensorFlow.js ${window.tf.version.tfjs ?? window.tf.version_core}.` : 'Choose a backend.', !good);
  } catch (error) {
    say(error.message, true);
  } finally {
    runButton.disabled = false;
  }
}

byId('run').append(
  h('fieldset', {}, h('legend', {}, 'Input'),
    h('div', {class: 'choices'}, MODES.map(([name, text]) => h('label', {},
      h('input', {type: 'radio', name: 'mode', value: name, checked: name === mode, onchange: () => setMode(name)}), text))),
    ...panels, pictures),
  h('fieldset', {}, h('legend', {}, 'Backends'),
    h('div', {class: 'choices'}, BACKENDS.map((name, place) => h('label', {}, backendFields[place], name)))),
  h('div', {class: 'tools'}, runButton, status), results);
fileField.addEventListener('change', () => takeFile(fileField.files[0]));
const drop = byId('drop');
for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  drop?.addEventListener(kind, event => {
    event.preventDefault();
    drop.classList.toggle('over', kind === 'dragenter' || kind === 'dragover');
    if (kind === 'drop') takeFile(event.dataTransfer.files[0]);
  });
}
