"""Trials in TensorBoard: scalars, their parameters in the HParams plugin, and the reason of their end as a text.

The package's own writer opens its files through TensorFlow, which no worker may load. Here its records and messages are
written to a plain file.
"""

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.config.tracker_word import TENSORBOARD
from search.tracking.base import Ending, Point, TrackedTrial
from storage.process_identity import hostname

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.summary.writer.record_writer import RecordWriter

VERSION = "brain.Event:2"


class TensorBoard:
    """Writes each trial into a folder of its own, which is a run of TensorBoard's.

    A trial that goes on, wherever, writes a further file: that begins by taking back all points of the files before it
    and has them again, since it may go on from an epoch that was passed already.

    Args:
        folder: For the folders of the trials.
    """

    word = TENSORBOARD

    def __init__(self, folder: Path) -> None:
        self.look = shlex.join(["python", "-m", "tensorboard.main", "--logdir", str(folder)])
        self._folder = folder
        self._records: RecordWriter | None = None

    def prepare(self) -> None:
        """See ``Tracker``."""
        self._folder.mkdir(parents=True, exist_ok=True)

    def open(self, trial: TrackedTrial) -> Mapping[str, int]:
        """See ``Tracker``."""
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._drop()
        run = self._folder / f"trial_{trial.number:05d}"
        run.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a run by their names.
        name = f"events.out.tfevents.{time.time():.6f}.{hostname()}.{os.getpid()}"
        self._records = RecordWriter((run / name).open("xb"))
        self._add(file_version=VERSION)
        self._add(session_log=SessionLog(status=SessionLog.START))
        start = SessionStartInfo(start_time_secs=trial.began)
        for key, value in trial.params.items():
            kept = start.hparams[key]
            if isinstance(value, bool):
                kept.bool_value = value
            elif isinstance(value, int | float):
                kept.number_value = value
            else:
                kept.string_value = str(value)
        self._add_hparams("session_start_info", HParamsPluginData(session_start_info=start))
        self._records.flush()
        return {}

    def write(self, points: Sequence[Point]) -> None:
        """See ``Tracker``."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        for curve, step, value in points:
            self._add(step=step, summary=Summary(value=[Summary.Value(tag=curve, simple_value=value)]))
        if self._records is not None:
            self._records.flush()

    def close(self, ending: Ending | None) -> None:
        """See ``Tracker``."""
        if ending is not None:
            self._end(ending)
        self._drop()

    def _drop(self) -> None:
        records, self._records = self._records, None
        if records is not None:
            records.close()

    def _end(self, ending: Ending) -> None:
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING
        from tensorboard.plugins.hparams.api_pb2 import Status
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
        from tensorboard.plugins.text.metadata import create_summary_metadata

        # The plugin has no word for a pruned trial, and its value is none of a whole training: Unknown filters it out.
        status = {"finished": "STATUS_SUCCESS", "failed": "STATUS_FAILURE"}.get(
            ending.state, "STATUS_UNKNOWN"
        )
        end = SessionEndInfo(status=Status.Value(status), end_time_secs=time.time())
        self._add_hparams("session_end_info", HParamsPluginData(session_end_info=end))
        words = f"{ending.state}: {ending.why}" if ending.why else ending.state
        text = TensorProto(dtype=DT_STRING, string_val=[words.encode()])
        self._add_tensor("end", create_summary_metadata("", ""), text)

    def _add_hparams(self, kind: str, data: Any) -> None:
        from tensorboard.plugins.hparams.metadata import NULL_TENSOR, create_summary_metadata

        self._add_tensor(f"_hparams_/{kind}", create_summary_metadata(data), NULL_TENSOR)

    def _add_tensor(self, tag: str, metadata: "SummaryMetadata", tensor: "TensorProto") -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(summary=Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)]))

    def _add(self, **what: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        if self._records is not None:
            self._records.write(Event(wall_time=time.time(), **what).SerializeToString())
