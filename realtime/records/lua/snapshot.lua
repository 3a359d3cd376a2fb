-- Reads a tenant's feed: everything a new client is shown, or what changed above an offset of the same epoch.
-- KEYS: 1 feed, 2 index, 3 the relay's note of the history that it has filled
-- ARGV: 1 known epoch ('' for none), 2 known offset, 3 a new epoch, used if one is needed,
--       4 the beginning of the tenant's keys, 5 suffix of status keys, 6 suffix of progress keys,
--       then topics that are also read, if everything is read and the index does not have them
-- Returns epoch, offset, floor, whole ('1' if everything follows), the size of the index, the number of its topics that
-- follow, then status text and progress of each topic in turn.
local epoch, offset, floor = open_feed(KEYS[1], ARGV[3])
local known = tonumber(ARGV[2])
if ARGV[1] == epoch and known > tonumber(offset) then
    -- The caller has seen a higher offset of this epoch: Redis went back to an earlier state, and its replication id
    -- did not change (a machine was restored). Delete the note, so that the relay fills Redis again.
    epoch = ARGV[3]
    redis.call('HSET', KEYS[1], 'epoch', epoch)
    redis.call('DEL', KEYS[3])
end
local whole = ARGV[1] ~= epoch or known < tonumber(floor)
local CHUNK = 500 -- two keys each: unpack has a limit
local NAMES = 7 -- the position of the first topic that is asked for by name

-- Appends status text and progress of each topic. Calls `missing` with the position of each topic without status.
local function append(values, topics, missing)
    for first = 1, #topics, CHUNK do
        local keys = {}
        for position = first, math.min(first + CHUNK - 1, #topics) do
            keys[#keys + 1] = ARGV[4] .. topics[position] .. ARGV[5]
            keys[#keys + 1] = ARGV[4] .. topics[position] .. ARGV[6]
        end
        for place, value in ipairs(redis.call('MGET', unpack(keys))) do
            values[#values + 1] = value
            if place % 2 == 1 and not value then missing(first + (place - 1) / 2) end
        end
    end
end

-- Returns the values of the index's topics, and the highest offset of a topic without status (0: there is none).
local function read()
    local found = redis.call('ZRANGEBYSCORE', KEYS[2], whole and '-inf' or '(' .. ARGV[2], '+inf', 'WITHSCORES')
    local values, topics, evicted = {}, {}, 0
    for position = 1, #found, 2 do topics[#topics + 1] = found[position] end
    append(values, topics, function(number) evicted = math.max(evicted, tonumber(found[2 * number])) end)
    return values, evicted
end

local values, evicted = read()
-- A topic without status cannot be sent. No client may count as having it: a place below its offset is too old.
if evicted > tonumber(floor) then
    floor = string.format('%.0f', evicted)
    if not whole and known < evicted then
        whole = true
        values = read()
    end
end
local indexed = #values / 2
if whole then
    local topics = {}
    for position = NAMES, #ARGV do
        if not redis.call('ZSCORE', KEYS[2], ARGV[position]) then topics[#topics + 1] = ARGV[position] end
    end
    append(values, topics, function() end)
end
local answer = {epoch, offset, floor, whole and '1' or '0', redis.call('ZCARD', KEYS[2]), indexed}
for position = 1, #values do answer[position + 6] = values[position] end
return answer
