"""A project as its files say it, before anything heavy is imported: its template, its parameters, samconfig.toml."""
