"""``python -m tfjs_codec`` is the command line."""

from tfjs_codec.cli.main import main

raise SystemExit(main())
