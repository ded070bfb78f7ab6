"""What if one message had been lost, late, wrong or invented? The recorded run, closed loop, with edits (docs/what_if.md).

`edit` says what an edit is and reads it from text, `rewrite` changes a message, `apply` carries edits out between sender and
receivers, `again` runs the scene of a log with edits, `closeness` measures gaps and times to collision, `outcome` compares two
runs, `candidates` and `rank` look for the messages that mattered, `work` runs candidates in parallel.
"""
