"""Partition tables, edited in place: places change, and all else of what the guest's own tools wrote stays as it is.

Pure over bytes: whoever calls gives something to read from and to write to. Neither parted nor sfdisk is asked in the appliance,
since both write tables anew: they round starts, forget attributes and names they do not know, or ask questions.
"""
