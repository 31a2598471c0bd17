// The license texts that the bundle must contain, from the packages whose files are in it.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

// Packages that are published without a license file. The text is that of a package from the same repository or author.
const SAME_TERMS_AS = {
  '@graphiql/plugin-doc-explorer': 'graphiql',
  '@graphiql/plugin-explorer': 'graphiql',
  '@graphiql/plugin-history': 'graphiql',
  'react-compiler-runtime': 'react',
  'react-remove-scroll-bar': 'react-remove-scroll',
};

const LICENSE_FILE = /^(licen[cs]e|copying|notice|third-?party-?notices)/i;
const PACKAGE_FOLDER = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/;
const SEPARATOR = `\n\n${'-'.repeat(80)}\n\n`;

function read(folder, file) {
  return readFileSync(join(import.meta.dirname, folder, file), 'utf8');
}

function termsOf(folder, name) {
  const source = SAME_TERMS_AS[name] ? `node_modules/${SAME_TERMS_AS[name]}` : folder;
  const files = readdirSync(join(import.meta.dirname, source)).filter((file) => LICENSE_FILE.test(file));
  if (!files.length) throw new Error(`${name} has no license file: add it to SAME_TERMS_AS`);
  return files.map((file) => read(source, file).replace(/\r/g, '').trim()).join('\n\n');
}

/** Return one text with the terms of every package that has a file in `inputs` (paths of bundled files). */
export function notices(inputs) {
  const folders = new Set(inputs.flatMap((path) => path.match(PACKAGE_FOLDER) ?? []));
  const packagesByTerms = new Map();
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(read(folder, 'package.json'));
    const terms = termsOf(folder, name);
    packagesByTerms.set(terms, [...(packagesByTerms.get(terms) ?? []), `${name} ${version} (${license})`]);
  }
  const parts = [...packagesByTerms].map(([terms, packages]) => `${packages.join('\n')}\n\n${terms}`);
  return `The web console contains the following software.${SEPARATOR}${parts.join(SEPARATOR)}\n`;
}
