#!/bin/sh
# Makes scatterplot.js, the bundle, and LICENSES.txt, its authors' terms, from the versions of
# package-lock.json. Needs node and npm. The page's own code is not bundled.
set -e
cd "$(dirname "$0")"
npm ci --no-audit --no-fund
versions=$(node -p "Object.entries(require('./package-lock.json').packages)
  .filter(([path, found]) => path && !found.dev)
  .map(([path, found]) => path.replace('node_modules/', '') + ' ' + found.version).join(', ')")
echo 'export { default } from "regl-scatterplot";' |
  npx esbuild --bundle --minify --charset=utf8 --legal-comments=none --format=iife \
    --global-name=reglScatterplot --target=es2020 \
    "--banner:js=/* $versions: see LICENSES.txt */" --outfile=scatterplot.js
node licenses.js > LICENSES.txt
rm -r node_modules
