-- Publishes one record to a tenant's feed: decides, stores, numbers and publishes in one step.
-- KEYS: 1 status, 2 progress, 3 feed (and channel), 4 index, 5 terminal, 6 fence, 7 leases
-- ARGV: 1 topic, 2 attempt, 3 rank, 4 status, 5 text (without its opening {"offset":N), 6 progress JSON or '',
--       7 ttl of unfinished topics, 8 ttl of terminal topics once new clients are no longer shown them (0: none),
--       9 lease seconds, 10 most terminal topics, 11 their greatest age in s, 12 most unfinished topics,
--       13 a new epoch, used if one is needed, 14 the beginning of the tenant's keys, 15 suffix of status keys
-- Returns verdict, epoch, offset. Decodes no JSON: everything that it compares is an argument.
local topic, attempt, rank, status = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local TERMINAL = 2
local epoch, offset, floor = open_feed(KEYS[3], ARGV[13])
local fence = redis.call('HGET', KEYS[6], topic)

local function stored()
    if fence then
        local a, r, s = string.match(fence, '^(%d+) (%d) (%u+)$')
        return tonumber(a), tonumber(r), s
    end
    -- The topic has left the index, but its status key still exists: its fixed header holds the same values.
    local text = redis.call('GET', KEYS[1])
    if not text then return nil end
    local a, s = string.match(text, '^{"offset":%d+,"topic":"[^"]+","attempt":(%d+),"status":"(%u+)"')
    local ranks = {PENDING = 0, PROCESSING = 1}
    return tonumber(a), ranks[s] or TERMINAL, s
end

local old_attempt, old_rank, old_status = stored()
if old_attempt and attempt <= old_attempt then
    if attempt < old_attempt then return {'stale_attempt', epoch, offset} end
    if old_rank == TERMINAL then
        return {status == old_status and 'duplicate' or 'already_terminal', epoch, offset}
    end
    if rank < old_rank then return {'status_regression', epoch, offset} end
end

local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
offset = string.format('%.0f', redis.call('HINCRBY', KEYS[3], 'offset', 1))
-- The time of publishing, by the publisher's clock. A time in the future is replaced, so that no topic outlives others.
local text = '{"offset":' .. offset .. ARGV[5]
local said_at = tonumber(string.match(text, '"published_at":([^,}]+)}$', -60))
if said_at > now then
    said_at = now
    text = string.match(text, '^(.*"published_at":)') .. string.format('%.6f', now) .. '}'
end

-- A status without progress may be older than the stored record of the same attempt and rank: a relay sent it after the
-- worker had reported progress. Then store its offset and `stalled`, but keep the stored data, which is newer.
if ARGV[6] == '' and old_attempt == attempt and old_rank == rank then
    local newer = redis.call('GET', KEYS[1])
    if newer then
        local data, stored_at = string.match(newer, '^{"offset":%d+(,.*,"stalled":)%a+,"published_at":([^,}]+)}$')
        local stalled = string.match(ARGV[5], ',"stalled":(%a+),"published_at":[^,}]+}$')
        if data and stalled and tonumber(stored_at) > said_at then
            said_at = tonumber(stored_at)
            text = '{"offset":' .. offset .. data .. stalled .. ',"published_at":' .. stored_at .. '}'
        end
    end
end

-- Write the two keys. A status without progress keeps the progress of the same attempt.
local progress = ARGV[6]
if rank == TERMINAL then
    redis.call('DEL', KEYS[2])
    progress = 'null'
    redis.call('SET', KEYS[1], text) -- without expiry while new clients are shown it, so that Redis does not evict it
else
    if progress == '' then
        progress = old_attempt == attempt and redis.call('GET', KEYS[2]) or ''
    end
    if progress == '' then
        redis.call('DEL', KEYS[2])
        progress = 'null'
    else
        redis.call('SET', KEYS[2], progress, 'EX', ARGV[7])
    end
    redis.call('SET', KEYS[1], text, 'EX', ARGV[7])
end

-- Write index, fence and lease.
redis.call('ZADD', KEYS[4], offset, topic)
local new_fence = ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. status
if new_fence ~= fence then redis.call('HSET', KEYS[6], topic, new_fence) end
if rank == TERMINAL then
    -- Ordered by the time at which topics ended, not at which they arrived: the relay fills Redis with the oldest last.
    redis.call('ZADD', KEYS[5], string.format('%.6f', said_at), topic)
elseif not fence or old_rank == TERMINAL then
    redis.call('ZREM', KEYS[5], topic) -- not needed if the fence says unfinished: then the topic is not in there
end
if status == 'PROCESSING' then
    redis.call('ZADD', KEYS[7], now + tonumber(ARGV[9]), topic)
else
    redis.call('ZREM', KEYS[7], topic)
end

-- Limit what new clients are shown. A topic that leaves raises the floor; a place below it is too old to continue from.
-- The floor never sinks: an old unfinished topic may leave after a younger terminal one.
local old_floor = tonumber(floor)
floor = old_floor
local function drop(member, ended)
    if ended and ARGV[8] ~= '0' then redis.call('EXPIRE', ARGV[14] .. member .. ARGV[15], ARGV[8]) end
    floor = math.max(floor, tonumber(redis.call('ZSCORE', KEYS[4], member) or 0))
    redis.call('ZREM', KEYS[4], member)
    redis.call('ZREM', KEYS[5], member)
    redis.call('HDEL', KEYS[6], member)
end
local old = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now - tonumber(ARGV[11]), 'LIMIT', 0, 100)
if #old > 0 then
    -- Redis' clock may have been set a day ahead by mistake. So topics are only old if a published time says so too.
    local latest = math.max(said_at, tonumber(redis.call('ZREVRANGE', KEYS[5], 0, 0, 'WITHSCORES')[2]))
    for _, member in ipairs(old) do
        if tonumber(redis.call('ZSCORE', KEYS[5], member)) < latest - tonumber(ARGV[11]) then drop(member, true) end
    end
end
local terminal_count = redis.call('ZCARD', KEYS[5])
local terminal_excess = terminal_count - tonumber(ARGV[10])
if terminal_excess > 0 then
    for _, member in ipairs(redis.call('ZRANGE', KEYS[5], 0, terminal_excess - 1)) do drop(member, true) end
    terminal_count = tonumber(ARGV[10])
end
local unfinished_excess = redis.call('ZCARD', KEYS[4]) - terminal_count - tonumber(ARGV[12])
if unfinished_excess > 0 then
    for _, member in ipairs(redis.call('ZRANGE', KEYS[4], 0, unfinished_excess + terminal_count)) do
        if unfinished_excess > 0 and not redis.call('ZSCORE', KEYS[5], member) then
            drop(member, false)
            unfinished_excess = unfinished_excess - 1
        end
    end
end
if floor > old_floor then redis.call('HSET', KEYS[3], 'floor', string.format('%.0f', floor)) end

redis.call('PUBLISH', KEYS[3], epoch .. '.' .. offset .. ' ' .. string.sub(text, 1, -2) .. ',"progress":' .. progress .. '}')
return {'accepted', epoch, offset}
