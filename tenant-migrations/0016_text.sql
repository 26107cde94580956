-- The folding changed (text::VERSION): vowel signs of Indic and other scripts are kept. The version of the tables has to
-- change for churches to be upgraded, which is when the program folds their members again.
comment on table text_folding is 'Folded again when its version is not the program''s.';
