#!/usr/bin/env bash
# Writes the man page from the options: pip install argparse-manpage, then bash docs/make-man.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
SOURCE_DATE_EPOCH=0 COLUMNS=80 argparse-manpage --module tfjs_codec.cli.main \
  --function build_parser --prog tfjs-codec --project-name tfjs_codec --manual-title tfjs-codec \
  --description 'convert Keras models to TensorFlow.js without TensorFlow' \
  --url https://github.com/tfjs-codec/tfjs_codec --format single-commands-section \
  --output docs/tfjs-codec.1
sed -i '1s/ "1970[^"]*"/ ""/' docs/tfjs-codec.1
