"""A tiny random LoRA adapter in GGUF, for any llama-like model."""

from pathlib import Path

import numpy as np


def write_lora(path: Path, model: Path, *, rank: int = 4, size: float = 0.6, seed: int = 0) -> None:
    """Write an adapter of the query projection of every block of `model`."""
    from gguf import GGUFReader, GGUFWriter

    reader = GGUFReader(model)
    architecture = str(reader.fields["general.architecture"].contents())
    writer = GGUFWriter(path, architecture)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(rank))
    random = np.random.default_rng(seed)
    for tensor in reader.tensors:
        if tensor.name.endswith("attn_q.weight"):
            width, out = (int(n) for n in tensor.shape)
            a = random.normal(0, size / np.sqrt(width), (rank, width)).astype(np.float32)
            b = random.normal(0, size, (out, rank)).astype(np.float32)
            writer.add_tensor(f"{tensor.name}.lora_a", a)
            writer.add_tensor(f"{tensor.name}.lora_b", b)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
