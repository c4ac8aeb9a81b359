"""The engine on a cluster: Milvus.

    NAME__state                              one row: which generation is read, and where
    NAME__4_53aa51172d14_12_9c1f20ab         passages; named for format, model and the generation that began it
    NAME__4_53aa51172d14_12_9c1f20ab_terms   how many passages hold each term
    NAME                                     alias of the passages, for Milvus' own tools; readers go by the state,
                                             for an alias and a row cannot be moved at once

Every row carries the generation in which it was born and the one in which it died. A reader reads the state once and
asks for what is alive in that generation, so a sync writes what changed beside what is read, and the one row of the
state makes it current. What died is deleted two syncs later; a reader that took longer looks at the state again at its
end, and asks anew. So no lock is needed between machines.

`cluster` is the connection, `rows` what a row holds, `expression` what filters are in Milvus' words.
"""

from pincite.storage.milvus.reader import ClusterReader
from pincite.storage.milvus.writer import ClusterWriter

__all__ = ["ClusterReader", "ClusterWriter"]
