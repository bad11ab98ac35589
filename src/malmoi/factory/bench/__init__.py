"""What `malmoi bench factory` measures: our training loop and tokenizers against what others would use."""
