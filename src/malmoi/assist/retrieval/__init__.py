"""Documents: files to text, text to passages, passages to answers that cite them."""
