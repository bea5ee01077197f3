// Builds the component: types from the contract, a check of the sources against them, then the component.
//
// `trunnion connector build` runs this with the contract's directory in TRUNNION_WIT, where the component goes in
// TRUNNION_OUT, and, for a release pipeline, the version it shall bear in TRUNNION_CONNECTOR_VERSION.

import { spawnSync } from 'node:child_process';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { componentize } from '@bytecodealliance/componentize-js';
import { $init, generateTypes } from '@bytecodealliance/jco-transpile/component';

const { TRUNNION_WIT: witPath, TRUNNION_OUT: out, TRUNNION_CONNECTOR_VERSION: stamped } = process.env;
if (!witPath || !out) {
  console.error('build this connector with `trunnion connector build PATH`');
  process.exit(1);
}

/** Writes one file, with the folders above it. */
async function put(path, content) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

// The packages' files as one text, which may name its package once.
const files = (await readdir(witPath)).filter((name) => name.endsWith('.wit')).sort();
const texts = await Promise.all(files.map((name) => readFile(join(witPath, name), 'utf8')));
const [name] = /^package .*;$/m.exec(texts[0]);
const wit = [name, ...texts.map((text) => text.replace(name, ''))].join('\n');

await $init;
await rm('generated', { recursive: true, force: true });
for (const [path, content] of generateTypes('contract', { wit: { tag: 'source', val: wit }, world: 'connector', guest: true })) {
  await put(join('generated', path), content);
}
const checked = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '--project', '.'], { stdio: 'inherit' });
if (checked.status !== 0) process.exit(1);

const { version } = JSON.parse(await readFile('package.json', 'utf8'));
for (const file of ['connector.js', 'manifest.js', 'vendor.js']) {
  const source = await readFile(file, 'utf8');
  await put(join('generated', file), source.replace('__VERSION__', stamped ?? version));
}
const { component } = await componentize({
  sourcePath: 'generated/connector.js',
  witPath,
  worldName: 'connector',
  // Needs none of them: it sends through the contract's own `http`, whose errors say more than a failed `fetch`.
  disableFeatures: ['http', 'fetch-event'],
});
await put(out, component);
