-- KEYS: the acceptor's own hash. ARGV: the identity that it gets, the number of the plan, the plan, the epoch of its end,
-- the members, the floor, and the numbers of plans that this one replaces. Returns the identity that the acceptor has,
-- or "" if it keeps another plan. Who knows of a configuration was started long ago.
redis.call("HSETNX", KEYS[1], "identity", ARGV[1])
local own = redis.call("HMGET", KEYS[1], "identity", "number", "configuration")
if own[1] ~= ARGV[1] or own[3] then return own[1] end
if own[2] and own[2] ~= ARGV[2] and not string.find(ARGV[7], own[2], 1, true) then return "" end
redis.call("HSET", KEYS[1], "number", ARGV[2], "plan", ARGV[3], "ends", ARGV[4], "members", ARGV[5])
raise(KEYS[1], ARGV[6])
return own[1]
