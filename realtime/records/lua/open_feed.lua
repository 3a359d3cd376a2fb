-- Placed in front of other scripts, behind replication_id.lua: opens the tenant's feed.
-- Offsets may repeat after a restart from an older dump, and after the promotion of a replica that was behind. So a
-- feed that was written under another replication id gets a new epoch. No process applies records of another epoch.
-- Returns epoch, offset and floor (both strings).
local function open_feed(key, new_epoch)
    local now = replication_id()
    local feed = redis.call('HMGET', key, 'epoch', 'offset', 'history', 'floor')
    if feed[1] and feed[3] == now then
        return feed[1], feed[2], feed[4] or '0'
    end
    redis.call('HSET', key, 'epoch', new_epoch, 'history', now)
    redis.call('HSETNX', key, 'offset', '0')
    redis.call('HSETNX', key, 'floor', '0')
    return new_epoch, feed[2] or '0', feed[4] or '0'
end
