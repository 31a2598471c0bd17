// Bundle GraphiQL into service/graphiql/dist: an index.html, and gzipped files whose names change with their content.

import { build, transform } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { notices } from './notices.mjs';

const DIST = join(import.meta.dirname, '..', 'service', 'graphiql', 'dist');
const HREF = 'graphiql/'; // relative to /graphql, so that the page also works behind a proxy with a path prefix

const ENTRIES = {
  main: 'src/main.jsx',
  'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
  'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
  'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
};

// GraphiQL loads these after its first paint, but cannot be used without them.
const EAGER = ['monaco-graphql/esm/monaco-editor.js', 'monaco-graphql/esm/lite.js'];

// Monaco's modules import their style sheets separately; console.css imports all of them in one file.
const withoutMonacoStyles = {
  name: 'without-monaco-styles',
  setup({ onLoad }) {
    onLoad({ filter: /monaco-editor[\\/]esm[\\/].*\.css$/ }, () => ({ contents: '', loader: 'empty' }));
  },
};

// GraphiQL uses function names as titles of its icons, for tooltips and screen readers. Minifying would remove them.
const withIconNames = {
  name: 'with-icon-names',
  setup({ onLoad }) {
    onLoad({ filter: /@graphiql[\\/]react[\\/]dist[\\/]icons[\\/].*\.js$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, 'utf8'), { keepNames: true });
      return { contents: code, loader: 'js' };
    });
  },
};

const { outputFiles, metafile } = await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: ENTRIES,
  outdir: DIST,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  bundle: true,
  splitting: true, // the workers share most of their code with the page
  format: 'esm',
  target: 'es2022',
  minify: true,
  legalComments: 'none', // NOTICES contains them
  metafile: true,
  write: false,
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
  loader: { '.graphql': 'text', '.ttf': 'file', '.woff2': 'file' },
  alias: {
    'prettier/parser-babel': './src/prettier-jsonc.js',
    'prettier/parser-graphql': 'prettier/plugins/graphql',
    'prettier/plugins/estree': './src/prettier-jsonc.js',
  },
  plugins: [withoutMonacoStyles, withIconNames],
});

const outputs = Object.entries(metafile.outputs);
const outputOf = (entry) => outputs.find(([, { entryPoint }]) => entryPoint?.endsWith(entry))[0];

/** Return a file and the chunks that it needs at its start. */
function closure(path) {
  const imports = metafile.outputs[path].imports.filter(({ kind }) => kind === 'import-statement');
  return [path, ...imports.flatMap((chunk) => closure(chunk.path))];
}

const script = outputOf(ENTRIES.main);
const preloads = new Set([...closure(script), ...EAGER.map(outputOf).flatMap(closure)]);
preloads.delete(script);

const licenses = Buffer.from(notices(Object.keys(metafile.inputs)));
const noticesName = `NOTICES-${createHash('sha256').update(licenses).digest('hex').slice(0, 8).toUpperCase()}.txt`;

const href = (path) => HREF + basename(path);
const links = {
  notices: href(noticesName),
  style: href(metafile.outputs[script].cssBundle),
  script: href(script),
  preloads: [...preloads].map((path) => `<link rel="modulepreload" href="${href(path)}" />`).join('\n    '),
  editorWorker: href(outputOf(ENTRIES['editor.worker'])),
  graphqlWorker: href(outputOf(ENTRIES['graphql.worker'])),
  jsonWorker: href(outputOf(ENTRIES['json.worker'])),
};
const template = readFileSync(join(import.meta.dirname, 'src', 'index.html'), 'utf8');
const page = template.replace(/{{(\w+)}}/g, (_, name) => links[name]);

function gzip(contents) {
  const bytes = gzipSync(contents, { level: 9 });
  bytes[9] = 255; // the operating system, the only byte of the header that depends on the machine
  return bytes;
}

rmSync(DIST, { recursive: true, force: true });
mkdirSync(DIST, { recursive: true });
writeFileSync(join(DIST, 'index.html'), page);
let size = 0;
for (const { path, contents } of [...outputFiles, { path: noticesName, contents: licenses }]) {
  const bytes = gzip(contents);
  writeFileSync(join(DIST, `${basename(path)}.gz`), bytes);
  size += bytes.length;
}
console.log(`${outputFiles.length + 2} files, ${(size / 1024).toFixed(0)} KiB gzipped`);
