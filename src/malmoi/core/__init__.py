"""The words everybody uses: types, configuration, errors, registry, store, Korean text."""
