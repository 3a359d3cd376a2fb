-- Reads one record; fails on a replica. KEYS: 1 status, 2 progress. Returns status text and progress.
replication_id()
return redis.call('MGET', KEYS[1], KEYS[2])
