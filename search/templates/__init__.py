"""The Jinja templates of what people read (report, notes, model card), and their loader."""
