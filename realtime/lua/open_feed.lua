-- Put in front of the other scripts: opens the tenant's feed.
-- Offsets may repeat after a restart from an older dump or a failover; the run_id of this Redis says so, and a new
-- epoch tells everybody. Nothing of another epoch is ever applied.
-- Returns epoch, offset (a string).
local function open_feed(key, new_epoch)
    local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
    local feed = redis.call('HMGET', key, 'epoch', 'offset', 'run_id')
    if feed[1] and feed[3] == run_id then
        return feed[1], feed[2]
    end
    redis.call('HSET', key, 'epoch', new_epoch, 'run_id', run_id)
    redis.call('HSETNX', key, 'offset', '0')
    redis.call('HSETNX', key, 'floor', '0')
    return new_epoch, feed[2] or '0'
end
