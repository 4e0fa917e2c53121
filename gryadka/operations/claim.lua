-- KEYS: the acceptor's own hash. ARGV: the identity it has to have, the plan's number, the plan, the epoch of its end,
-- the numbers of plans that this one may replace, the epoch in force (an ended plan stands in nobody's way), and who
-- claims it, its "maker" or "another". Once another one has, it is nobody's to withdraw.
-- Returns the number of the plan that the acceptor keeps, and its floor.
local own = redis.call("HMGET", KEYS[1], "identity", "number", "ends", "floor", "configuration")
if own[1] ~= ARGV[1] then return redis.error_reply("IDENTITY this is not the acceptor that it was") end
local floor = own[4] or "0:0"
if own[2] ~= ARGV[2] then
  local other = own[2] and not string.find(ARGV[5], own[2], 1, true) and tonumber(own[3]) > tonumber(ARGV[6])
  if other or told(own[5]) > tonumber(ARGV[6]) then return {own[2] or "", floor} end
end
if own[2] ~= ARGV[2] or ARGV[7] ~= "maker" then redis.call("HSET", KEYS[1], "by", ARGV[7]) end
redis.call("HSET", KEYS[1], "number", ARGV[2], "plan", ARGV[3], "ends", ARGV[4])
return {ARGV[2], floor}
