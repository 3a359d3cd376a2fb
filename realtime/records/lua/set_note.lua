-- Sets one of the engine's own notes, even at the memory limit. KEYS: 1 the note. ARGV: the arguments of SET
return redis.call('SET', KEYS[1], unpack(ARGV))
