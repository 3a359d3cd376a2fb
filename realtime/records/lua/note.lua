-- Sets one of the engine's own notes, also at the memory limit. KEYS: 1 the note. ARGV: as those of SET
return redis.call('SET', KEYS[1], unpack(ARGV))
