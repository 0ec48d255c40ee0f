# Answers with the words of the question, one every two milliseconds.
module LanguageModel
  extend self

  def answer(question)
    question.split.each do |word|
      sleep 0.002
      yield word
    end
  end
end
