"""Functions of `voice_transcription.yaml`: small stand-ins that work on real WAV files."""

from __future__ import annotations

import json
import math
import struct
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

_RATE = 8000
_LOUDNESS = 12_000


def record(folder: str, recording: str) -> dict[str, Any]:
    """Record one second of 440 Hz, unless there is a recording."""
    path = Path(folder) / recording
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, 440.0, 1.0)
    return {"path": str(path)}


def validate_audio(folder: str, recording: str) -> dict[str, Any]:
    """Return what kind of recording it is; one that is empty or no WAV file is refused."""
    with wave.open(str(Path(folder) / recording)) as file:
        frames, rate = file.getnframes(), file.getframerate()
    if frames == 0:
        raise ValueError(f"{recording} is empty")
    return {"seconds": frames / rate, "rate": rate}


def transcribe_stt(folder: str, recording: str) -> dict[str, Any]:
    """Say what is heard: the pitch, counted from how often the wave crosses zero upwards."""
    with wave.open(str(Path(folder) / recording)) as file:
        rate, width = file.getframerate(), file.getsampwidth() * file.getnchannels()
        data = file.readframes(file.getnframes())
    samples = [sample for (sample,) in struct.iter_unpack("<h", data[: len(data) // 2 * 2])]
    rising = sum(before < 0 <= after for before, after in pairwise(samples))
    return {"text": f"a tone of {rising * rate * width // max(1, len(data))} Hz"}


def process_llm(text: str) -> dict[str, Any]:
    """Answer a text."""
    return {"answer": f"You played {text}.", "words": len(text.split())}


def synthesize_tts(folder: str, text: str) -> dict[str, Any]:
    """Write a sound as long as it takes to say a text."""
    path = Path(folder) / "answer.wav"
    _write(path, 220.0, 0.1 * len(text.split()))
    return {"path": str(path)}


def store_result(folder: str, transcript: str, answer: str, speech: str) -> dict[str, Any]:
    """Store what came of it."""
    path = Path(folder) / "result.json"
    path.write_text(json.dumps({"transcript": transcript, "answer": answer, "speech": speech}), encoding="utf-8")
    return {"path": str(path)}


def delete_result(path: str) -> None:
    """Take back what was stored."""
    Path(path).unlink(missing_ok=True)


def _write(path: Path, pitch: float, seconds: float) -> None:
    wave_of = (math.sin(2 * math.pi * pitch * n / _RATE) for n in range(int(_RATE * seconds)))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, _RATE, 0, "NONE", ""))
        file.writeframes(b"".join(struct.pack("<h", int(_LOUDNESS * value)) for value in wave_of))
