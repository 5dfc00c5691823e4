"""When to ask a meter, and what becomes of every slot: schedule, isolation, back-off."""
