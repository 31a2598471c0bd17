// A small prettier plugin that formats the JSON of variables and headers. It uses the formatter that the editor already
// contains, in place of prettier's JavaScript plugins (150 kB gzipped), of which GraphiQL needs nothing else.

import { applyEdits, format, parse, printParseErrorCode } from 'jsonc-parser';

function parseJsonc(text) {
  const errors = [];
  parse(text, errors, { allowTrailingComma: true, allowEmptyContent: true });
  if (errors.length) throw new SyntaxError(`${printParseErrorCode(errors[0].error)} at offset ${errors[0].offset}`);
  return { formatted: applyEdits(text, format(text, undefined, { tabSize: 2, insertSpaces: true })) };
}

export const parsers = {
  jsonc: { parse: parseJsonc, astFormat: 'jsonc', locStart: () => 0, locEnd: () => 0 },
};

export const printers = {
  jsonc: { print: (path) => path.node.formatted },
};
