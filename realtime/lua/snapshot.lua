-- Reads a tenant's feed: everything a new client is shown, or what changed above an offset of the same epoch.
-- KEYS: 1 feed, 2 index
-- ARGV: 1 epoch known ('' for none), 2 offset known, 3 a new epoch, should one be needed,
--       4 what the tenant's keys begin with, 5 suffix of status keys, 6 suffix of progress keys
-- Returns epoch, offset, floor, whole ('1' if everything follows), then status text and progress of each topic in turn.
local epoch, offset = open_feed(KEYS[1], ARGV[3])
local floor = redis.call('HGET', KEYS[1], 'floor') or '0'
local known = tonumber(ARGV[2])
local whole = ARGV[1] ~= epoch or known < tonumber(floor) or known > tonumber(offset)
local CHUNK = 500 -- two keys each: unpack has a limit

-- Status text and progress of each topic in turn, and the highest offset of one whose status is gone (0: none is).
local function read()
    local found = redis.call('ZRANGEBYSCORE', KEYS[2], whole and '-inf' or '(' .. ARGV[2], '+inf', 'WITHSCORES')
    local values, evicted = {}, 0
    for first = 1, #found, 2 * CHUNK do
        local keys = {}
        for position = first, math.min(first + 2 * CHUNK - 2, #found), 2 do
            keys[#keys + 1] = ARGV[4] .. found[position] .. ARGV[5]
            keys[#keys + 1] = ARGV[4] .. found[position] .. ARGV[6]
        end
        for place, value in ipairs(redis.call('MGET', unpack(keys))) do
            values[#values + 1] = value
            if place % 2 == 1 and not value then evicted = math.max(evicted, tonumber(found[first + place])) end
        end
    end
    return values, evicted
end

local values, evicted = read()
-- What cannot be told now nobody may believe to have: a place below it is too old to continue from.
if evicted > tonumber(floor) then
    floor = string.format('%.0f', evicted)
    if not whole and known < evicted then
        whole = true
        values = read()
    end
end
local answer = {epoch, offset, floor, whole and '1' or '0'}
for position = 1, #values do answer[position + 4] = values[position] end
return answer
