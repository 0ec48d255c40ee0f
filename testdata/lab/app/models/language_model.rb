# Takes its time for each word.
module LanguageModel
  extend self

  def answer(question)
    question.split.each do |word|
      sleep 0.002
      yield word
    end
  end
end
