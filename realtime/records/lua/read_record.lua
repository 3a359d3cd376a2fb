-- Reads records; fails on a replica. KEYS: the status and the progress key of each topic in turn, 1000 topics at most.
-- Returns the status text and the progress of each topic in turn.
replication_id()
return redis.call('MGET', unpack(KEYS))
